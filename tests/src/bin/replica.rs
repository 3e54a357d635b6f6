//! A replica of a service as a process of its own, for tests that kill and pause it: `replica <database> <brokers>
//! <topic> <name> <workers> <keys>`. Each transaction gives a key its next number, writes that down and emits it. Ends on
//! SIGTERM, when what it has begun is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outbox_runtime::modes::Modes;
use outbox_runtime::{KafkaPublisher, Outbox, OutboxMessage, Payload};
use rand::Rng;
use sqlx::Postgres;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, brokers, topic, name, workers, keys] = &arguments[..] else {
        panic!("replica <database> <brokers> <topic> <name> <workers> <keys>");
    };
    let options: PgConnectOptions = database.parse().expect("the database has a URL");
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .connect_with(options.application_name(name))
        .await
        .expect("the database is there");
    let publisher = KafkaPublisher::builder(brokers)
        .producers(1)
        .build()
        .expect("the publisher can be made");
    let outbox = Outbox::builder(pool).modes(Modes::new(publisher)).build();
    let ends = Arc::new(AtomicBool::new(false));
    let keys: u32 = keys.parse().expect("a number of keys");
    let workers: u32 = workers.parse().expect("a number of workers");
    let running: Vec<_> = (0..workers)
        .map(|_| {
            tokio::spawn(work(
                outbox.clone(),
                Arc::clone(&ends),
                topic.clone(),
                name.clone(),
                keys,
            ))
        })
        .collect();
    println!("started");
    let mut term = signal(SignalKind::terminate()).expect("signals can be handled");
    term.recv().await;
    ends.store(true, Ordering::Relaxed);
    for worker in running {
        worker.await.expect("a worker does not panic");
    }
}

async fn work(outbox: Outbox<Postgres>, ends: Arc<AtomicBool>, topic: String, name: String, keys: u32) {
    while !ends.load(Ordering::Relaxed) {
        let (key, undone) = {
            let mut random = rand::rng();
            (random.random_range(0..keys), random.random_bool(0.05))
        };
        let done = outbox
            .transaction(async |tx| {
                let number: i64 = sqlx::query_scalar(
                    "UPDATE counters SET number = number + 1 WHERE key = $1 RETURNING number",
                )
                .bind(i64::from(key))
                .fetch_one(&mut **tx)
                .await?;
                let id = Uuid::now_v7();
                sqlx::query("INSERT INTO ledger (id, key, number, replica) VALUES ($1, $2, $3, $4)")
                    .bind(id)
                    .bind(i64::from(key))
                    .bind(number)
                    .bind(&name)
                    .execute(&mut **tx)
                    .await?;
                let message = OutboxMessage::builder(topic.as_str(), format!("key-{key}"))
                    .aggregate_type("counter")
                    .event_type("CountedV1")
                    .payload(Payload::Json(number.to_string()))
                    .build()
                    .with_id(id);
                tx.emit_message(message)?;
                match undone {
                    true => Err(anyhow::anyhow!("by choice")),
                    false => Ok(()),
                }
            })
            .await;
        if let Err(error) = done
            && error.to_string() != "by choice"
        {
            tracing::warn!(error = format!("{error:#}"), "a transaction failed");
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
