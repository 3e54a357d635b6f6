//! Transactions a second with 8 clients, with and without an event, beside sqlx alone.
//!
//! Each transaction inserts one row. The three take turns in short rounds, so that what else the machine does
//! falls on all of them alike; a rate is the median of its rounds, a ratio that of the pairs of neighbours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outbox_runtime::{Outbox, OutboxEvent, OutboxTx, transactional};
use outbox_tests::TestDatabase;
use serde::Serialize;
use sqlx::{PgConnection, PgPool, Postgres};

const CLIENTS: u32 = 8;
const ROUNDS: u32 = 25;
const ROUND: Duration = Duration::from_millis(400);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "bench.order.placed.v1", aggregate = "order", key = order_id)]
struct OrderWrittenV1 {
    order_id: i64,
    /// Some 500 bytes, as an event of a service has.
    note: &'static str,
}

const NOTE: &str = match std::str::from_utf8(&[b'x'; 480]) {
    Ok(note) => note,
    Err(_) => "",
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    SqlxAlone,
    WithoutEvent,
    WithEvent,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn insert(connection: &mut PgConnection, order_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO orders (id, note) VALUES ($1, $2)")
        .bind(order_id)
        .bind("placed")
        .execute(connection)
        .await
        .map(|_| ())
}

async fn plain(pool: &PgPool, order_id: i64) -> Result<(), Failure> {
    let mut tx = pool.begin().await?;
    insert(&mut tx, order_id).await?;
    Ok(tx.commit().await?)
}

#[transactional]
async fn place(tx: &mut OutboxTx<'_, Postgres>, order_id: i64, event: bool) -> Result<(), Failure> {
    insert(tx, order_id).await?;
    if event {
        tx.emit(OrderWrittenV1 { order_id, note: NOTE })?;
    }
    Ok(())
}

async fn once(outbox: &Outbox<Postgres>, way: Way, order_id: i64) -> Result<(), Failure> {
    match way {
        Way::SqlxAlone => plain(outbox.pool(), order_id).await,
        Way::WithoutEvent => place(outbox, order_id, false).await,
        Way::WithEvent => place(outbox, order_id, true).await,
    }
}

/// Transactions a second in one round.
async fn round(outbox: &Outbox<Postgres>, way: Way, lasts: Duration, next: &Arc<AtomicI64>) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (outbox, next, done) = (outbox.clone(), next.clone(), done.clone());
            tokio::spawn(async move {
                while started.elapsed() < lasts {
                    once(&outbox, way, next.fetch_add(1, Ordering::Relaxed))
                        .await
                        .expect("it is committed");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no client panics");
    }
    done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// Clients that write transactions with an event, on request.
pub(crate) struct Writers {
    outbox: Outbox<Postgres>,
    next: Arc<AtomicI64>,
}

impl Writers {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        create_table(pool).await;
        Self {
            outbox: Outbox::new(pool.clone()),
            next: Arc::new(AtomicI64::new(1)),
        }
    }

    /// Transactions a second, for so long.
    pub(crate) async fn round(&self, lasts: Duration) -> f64 {
        round(&self.outbox, Way::WithEvent, lasts, &self.next).await
    }
}

async fn create_table(pool: &PgPool) {
    sqlx::query("CREATE TABLE orders (id BIGINT PRIMARY KEY, note TEXT)")
        .execute(pool)
        .await
        .expect("the table can be made");
}

/// What `emit` does before anything is sent to the database: the event's JSON, its record, and all checks.
async fn emit_alone(outbox: &Outbox<Postgres>) {
    const TRANSACTIONS: u32 = 200;
    const EVENTS: u32 = 1_000;
    let (mut emitting, mut serializing) = (Duration::ZERO, Duration::ZERO);
    for transaction in 0..TRANSACTIONS {
        let event = |number: u32| OrderWrittenV1 {
            order_id: i64::from(transaction * EVENTS + number),
            note: NOTE,
        };
        let rolled_back: Result<(), Failure> = outbox
            .transaction(async |tx| {
                let started = Instant::now();
                for number in 0..EVENTS {
                    tx.emit(event(number))?;
                }
                emitting += started.elapsed();
                Err("nothing is to be written".into())
            })
            .await;
        rolled_back.expect_err("it is rolled back");
        let started = Instant::now();
        for number in 0..EVENTS {
            std::hint::black_box(serde_json::to_string(&event(number)).expect("it is JSON"));
        }
        serializing += started.elapsed();
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(TRANSACTIONS * EVENTS);
    println!(
        "emit: {:.2} us for each event of 500 bytes, of which serde_json alone takes {:.2} us",
        each(emitting),
        each(serializing)
    );
}

pub(crate) async fn run() {
    let database = TestDatabase::postgres_with(CLIENTS).await;
    create_table(&database.pool).await;
    let outbox = Outbox::new(database.pool.clone());
    let next = Arc::new(AtomicI64::new(1));
    let ways = [Way::SqlxAlone, Way::WithoutEvent, Way::WithEvent];
    let mut rates = ways.map(|_| Vec::new());
    for number in 0..=ROUNDS {
        for (way, rates) in ways.into_iter().zip(&mut rates) {
            let rate = round(&outbox, way, ROUND, &next).await;
            // The first round warms connections, statements and files.
            if number > 0 {
                rates.push(rate);
            }
        }
    }
    println!("{CLIENTS} clients, {ROUNDS} rounds of {ROUND:?} each; medians");
    for (way, rates) in ways.iter().zip(&rates) {
        println!("{way:?}: {:.0} transactions/s", median(rates.iter().copied()));
    }
    let ratio = |over: usize, under: usize| {
        100.0
            * median(
                rates[over]
                    .iter()
                    .zip(&rates[under])
                    .map(|(over, under)| over / under),
            )
    };
    println!("with an event / sqlx alone: {:.0} %", ratio(2, 0));
    println!("without an event / sqlx alone: {:.0} %", ratio(1, 0));
    println!("with an event / without: {:.0} %", ratio(2, 1));
    emit_alone(&outbox).await;
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
