//! One event, one handler, one relay. Run it with `cargo run -p hello`.

use std::time::Duration;

use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{Outbox, OutboxEvent, OutboxTx, Relay, SqliteStore, Tables, migrate, transactional};
use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePool};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The event: its topic, its key, and its JSON payload.
#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shop.orders", aggregate = "order", key = number)]
struct OrderPlacedV1 {
    number: i64,
    total_cents: i64,
}

/// The handler: `Ok` commits the row and the event, `Err` rolls both back.
#[transactional]
async fn place_order(tx: &mut OutboxTx<'_, Sqlite>, number: i64, total_cents: i64) -> Result<(), Error> {
    sqlx::query("INSERT INTO orders (number, total_cents) VALUES (?, ?)")
        .bind(number)
        .bind(total_cents)
        .execute(&mut **tx)
        .await?;
    tx.emit(OrderPlacedV1 { number, total_cents })?;
    if total_cents == 0 {
        return Err("the cart is empty".into());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // A new SQLite file with the service's table and the tables of the outbox.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hello.db");
    let pool =
        SqlitePool::connect_with(SqliteConnectOptions::new().filename(file).create_if_missing(true)).await?;
    migrate(&pool, &Tables::default()).await?;
    sqlx::query("CREATE TABLE orders (number INTEGER PRIMARY KEY, total_cents INTEGER)")
        .execute(&pool)
        .await?;

    // The relay delivers to a broker in memory. A service passes a `KafkaPublisher` instead.
    let outbox = Outbox::new(pool.clone());
    let broker = MemoryBroker::new();
    let relay = Relay::builder(SqliteStore::new(&pool), broker.publisher())
        .waker(outbox.waker())
        .build()?
        .spawn();

    for (number, total_cents) in [(1, 4_200), (2, 0), (3, 1_250)] {
        match place_order(&outbox, number, total_cents).await {
            Ok(()) => println!("order {number}: committed"),
            Err(error) => println!("order {number}: rolled back, because {error}"),
        }
    }

    while relay.progress().delivered() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    relay.stop().await?;
    for record in broker.log() {
        let value = record.value.unwrap_or_default();
        println!(
            "topic {}, key {}: {}",
            record.topic,
            record.key,
            String::from_utf8_lossy(&value)
        );
    }
    Ok(())
}
