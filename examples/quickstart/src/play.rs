//! The story: orders are written while the broker goes away and comes back; then all is compared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use outbox_runtime::store::Store;
use outbox_runtime::{Outbox, Relay, RunningRelay, Tables};
use sqlx::Pool;

use crate::arguments::Arguments;
use crate::broker::{Broker, MockBroker};
use crate::consumer::{Consumer, Record};
use crate::database::{self, Database, ShopDatabase};
use crate::ledger::Ledger;
use crate::progress::Progress;
use crate::report::{Outage, Report};
use crate::writers;

/// The broker is away from one of these shares of the orders to the other, in percent.
const AWAY: (u64, u64) = (30, 60);

/// However fast orders are written.
const AWAY_AT_LEAST: Duration = Duration::from_millis(1_500);

/// How often counters are looked at.
const PACE: Duration = Duration::from_millis(10);

/// After how long without any delivery the relay is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs all of it.
pub(crate) async fn run(arguments: &Arguments) -> Result<Report> {
    let progress = Progress::start(arguments.orders);
    progress.log();
    let story = async {
        // A connection for each writer, and some for the relay.
        let database = Database::open(arguments.database_url.as_deref(), arguments.writers + 4).await?;
        match &database {
            Database::Sqlite { pool, .. } => play(pool, arguments, &progress).await,
            Database::Postgres(pool) => play(pool, arguments, &progress).await,
        }
    };
    let ended = tokio::select! {
        ended = story => ended,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    progress.clear();
    ended
}

async fn play<DB: ShopDatabase>(
    pool: &Pool<DB>,
    arguments: &Arguments,
    progress: &Progress,
) -> Result<Report> {
    // GIVEN a database with an outbox of its own, a broker, and a consumer that has begun to read
    let tables = Tables::new(None, "quickstart_")?;
    database::prepare(pool, &tables).await?;
    let outbox = Outbox::builder(pool.clone()).tables(tables.clone()).build();
    let store = DB::store(pool, &tables);
    let broker = Broker::start(arguments.brokers.as_deref()).await?;
    deliver_leftovers(&store, &broker, progress).await?;
    let consumer = Consumer::start(broker.addresses()).await?;
    let ledger = Arc::new(Ledger::default());

    // WHEN orders are written, and the broker is away in the middle
    let relay = Relay::builder(store.clone(), broker.publisher()?)
        .waker(outbox.waker())
        .build()?
        .spawn();
    let started = Instant::now();
    let work = async {
        let writing = writers::place_orders(&outbox, &ledger, arguments.orders, arguments.writers);
        let outage = outage(&broker, arguments.orders, &ledger, &consumer, progress);
        let ((), outage) = tokio::try_join!(writing, outage)?;
        progress.say("all orders are written; the rest is delivered");
        drained(&store, &relay).await?;
        Ok::<_, anyhow::Error>(outage)
    };
    let outage = tokio::select! {
        outage = work => outage?,
        never = progress.follow(&ledger, &consumer) => match never {},
    };
    let relay = relay.stop().await.context("the relay ended")?.unwrap_or_default();
    let records = consumer.finish().await?;
    let took = started.elapsed();

    // THEN what arrived is what was committed
    let ledger = Arc::into_inner(ledger).context("a writer is still at work")?;
    let (orders, refused) = (ledger.orders(), ledger.refused());
    let check = ledger
        .into_committed()
        .check(records.iter().map(Record::delivered), []);
    Ok(Report {
        orders,
        refused,
        writers: arguments.writers,
        outage,
        relay,
        check,
        took,
    })
}

/// What an earlier run left in the log goes out before this one is watched.
async fn deliver_leftovers<S: Store + Clone>(store: &S, broker: &Broker, progress: &Progress) -> Result<()> {
    let left = store.status().await?.backlog.messages;
    if left > 0 {
        progress.say(&format!(
            "an earlier run has left {left} events: they go out first"
        ));
        let mut relay = Relay::builder(store.clone(), broker.publisher()?).build()?;
        relay.run_once().await?;
    }
    Ok(())
}

/// Takes a mock cluster away and brings it back.
async fn outage(
    broker: &Broker,
    orders: u32,
    ledger: &Ledger,
    consumer: &Consumer,
    progress: &Progress,
) -> Result<Option<Outage>> {
    let Some(mock) = broker.mock() else {
        return Ok(None);
    };
    let reach = |percent: u64| reached(ledger, u64::from(orders) * percent / 100);
    reach(AWAY.0).await;
    mock.go_away()?;
    let since = Instant::now();
    progress.say("the broker is away; orders are written on");
    let ((), ()) = tokio::join!(reach(AWAY.1), tokio::time::sleep(AWAY_AT_LEAST));
    let waiting = ledger.events().saturating_sub(consumer.seen());
    come_back(mock, waiting, progress)?;
    Ok(Some(Outage {
        lasted: since.elapsed(),
        waiting,
    }))
}

fn come_back(mock: &MockBroker, waiting: u64, progress: &Progress) -> Result<()> {
    mock.come_back()?;
    progress.say(&format!("the broker is back; {waiting} events wait for it"));
    Ok(())
}

/// Waits until so many orders have ended, one way or the other.
async fn reached(ledger: &Ledger, orders: u64) {
    let mut ticks = tokio::time::interval(PACE);
    while ledger.orders() + ledger.refused() < orders {
        ticks.tick().await;
    }
}

/// Waits until the relay has nothing left to deliver; or long enough to know that it will not.
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
