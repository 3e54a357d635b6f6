//! The demonstration: orders are written while the broker fails and returns; then both sides are compared.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use outbox_runtime::store::Store;
use outbox_runtime::{KafkaPublisher, Outbox, Relay, RunningRelay, SqliteStore, Tables};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::consumer::{Consumer, Record};
use crate::ledger::Ledger;
use crate::report::{Outage, Report};
use crate::shop::{self, TOPIC};
use crate::writers;

const PARTITIONS: i32 = 6;

/// The mock cluster's only broker.
const BROKER: i32 = 1;

/// The broker is down between these shares of the orders, in percent.
const DOWN: (u64, u64) = (30, 60);

/// However fast orders are written.
const DOWN_AT_LEAST: Duration = Duration::from_millis(1_500);

/// How often counters are read.
const PACE: Duration = Duration::from_millis(10);

/// How long the relay may deliver nothing before the run gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs all of it.
pub(crate) async fn run(orders: u32, writers: u32) -> Result<Report> {
    tokio::select! {
        ended = play(orders, writers) => ended,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn play(orders: u32, writers: u32) -> Result<Report> {
    // GIVEN a database with an outbox, a broker, and a consumer
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("shop.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(writers + 4);
    let pool: SqlitePool = pool.connect_with(options).await?;
    outbox_runtime::migrate(&pool, &Tables::default()).await?;
    shop::create_table(&pool).await?;
    let outbox = Outbox::new(pool.clone());
    let broker = MockCluster::new(1).context("cannot start the mock cluster")?;
    broker.create_topic(TOPIC, PARTITIONS, 1)?;
    let brokers = broker.bootstrap_servers();
    let consumer = Consumer::start(&brokers, PARTITIONS)?;
    let ledger = Arc::new(Ledger::default());

    // WHEN orders are written, and the broker is down in the middle
    // The mock cluster does not answer questions about the limits of topics.
    let publisher = KafkaPublisher::builder(&brokers).assume_topic_limits().build()?;
    let store = SqliteStore::new(&pool);
    let relay = Relay::builder(store.clone(), publisher)
        .waker(outbox.waker())
        .build()?
        .spawn();
    let started = Instant::now();
    let work = async {
        let writing = writers::place_orders(&outbox, &ledger, orders, writers);
        let outage = outage(&broker, orders, &ledger, &consumer, started);
        let ((), outage) = tokio::try_join!(writing, outage)?;
        say(started, "all orders are written; the relay delivers the rest");
        drained(&store, &relay).await?;
        Ok::<_, anyhow::Error>(outage)
    };
    let outage = tokio::select! {
        outage = work => outage?,
        never = follow(&ledger, &consumer, started) => match never {},
    };
    let relay = relay.stop().await.context("the relay ended")?.unwrap_or_default();
    let records = consumer.finish().await?;
    let took = started.elapsed();

    // THEN what arrived is what was committed
    let ledger = Arc::into_inner(ledger).context("a writer is still running")?;
    let (orders, refused) = (ledger.orders(), ledger.refused());
    let check = ledger
        .into_committed()
        .check(records.iter().map(Record::delivered), []);
    Ok(Report {
        orders,
        refused,
        writers,
        outage,
        relay,
        check,
        took,
    })
}

/// Stops the broker and restarts it.
async fn outage(
    broker: &MockCluster<'_, DefaultProducerContext>,
    orders: u32,
    ledger: &Ledger,
    consumer: &Consumer,
    started: Instant,
) -> Result<Outage> {
    let reach = |percent: u64| reached(ledger, u64::from(orders) * percent / 100);
    reach(DOWN.0).await;
    broker.broker_down(BROKER)?;
    let since = Instant::now();
    say(started, "the broker is down; the service keeps writing orders");
    let ((), ()) = tokio::join!(reach(DOWN.1), tokio::time::sleep(DOWN_AT_LEAST));
    let waiting = ledger.events().saturating_sub(consumer.seen());
    broker.broker_up(BROKER)?;
    say(
        started,
        &format!("the broker is up; {waiting} events wait for it"),
    );
    Ok(Outage {
        lasted: since.elapsed(),
        waiting,
    })
}

/// Waits until this number of orders has been committed or rolled back.
async fn reached(ledger: &Ledger, orders: u64) {
    let mut ticks = tokio::time::interval(PACE);
    while ledger.orders() + ledger.refused() < orders {
        ticks.tick().await;
    }
}

/// Waits until the relay has delivered everything, or has delivered nothing for long.
async fn drained(store: &impl Store, relay: &RunningRelay) -> Result<()> {
    let mut ticks = tokio::time::interval(PACE);
    let mut moved = (0, Instant::now());
    while store.status().await?.backlog.messages > 0 {
        let delivered = relay.progress().delivered();
        if delivered != moved.0 {
            moved = (delivered, Instant::now());
        } else if moved.1.elapsed() > PATIENCE {
            break;
        }
        ticks.tick().await;
    }
    Ok(())
}

/// Prints the counters each second until the future is dropped.
async fn follow(ledger: &Ledger, consumer: &Consumer, started: Instant) -> Infallible {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let (orders, arrived) = (ledger.orders(), consumer.seen());
        say(
            started,
            &format!("{orders} orders committed, {arrived} events arrived"),
        );
    }
}

fn say(started: Instant, line: &str) {
    eprintln!("{:4.1} s  {line}", started.elapsed().as_secs_f64());
}
