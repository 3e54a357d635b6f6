//! Servers that are away for a while.

use std::time::Duration;

use outbox_runtime::{Consumer, Outbox, Tables, migrate};
use outbox_tests::kafka::Topic;
use outbox_tests::numbers::{self, Number, Producer, act};
use outbox_tests::servers::{KafkaServer, PostgresServer, PostgresVersion};
use outbox_tests::wait_until;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::scene::{LIMIT, quick};

/// Connections to the server, with the tables made.
async fn connect(postgres: &PostgresServer) -> PgPool {
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(2))
        .connect(&postgres.url())
        .await
        .unwrap();
    migrate(&pool, &Tables::default()).await.unwrap();
    numbers::tables(&pool).await;
    pool
}

/// One try for each message: an outage must not take it.
#[tokio::test(flavor = "multi_thread")]
async fn outages_of_either_server_are_waited_for_and_burn_no_attempts() {
    let (mut postgres, mut kafka) = tokio::join!(
        PostgresServer::start(PostgresVersion::Distribution),
        KafkaServer::start()
    );
    let pool = connect(&postgres).await;
    let topic = Topic::create_at(&kafka.brokers(), "outages", 3, &[]).await;
    let config = quick().max_attempts(1);
    let consumer = Consumer::builder(&Outbox::new(pool.clone()), kafka.brokers(), "outages")
        .topic(topic.name())
        .config(config)
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await
        })
        .build()
        .unwrap();
    let dead_letters = consumer.dead_letters();
    let consumer = consumer.spawn();
    let mut producer = Producer::new(&kafka.brokers(), topic.name());
    let processed = || {
        let report = consumer.progress().report();
        i64::try_from(report.processed).unwrap()
    };
    let wait_for = async |count: i64| {
        wait_until("messages to be processed", LIMIT, async || {
            (processed() >= count).then_some(())
        })
        .await;
    };

    // The database goes in the middle, by a crash and in order.
    producer.send(1_500, 30, 10);
    wait_for(100).await;
    postgres.kill();
    wait_until("the outage to be noticed", LIMIT, async || {
        (consumer.progress().report().outages > 3).then_some(())
    })
    .await;
    postgres.restart().await;
    wait_for(500).await;
    postgres.stop().await;
    postgres.restart().await;
    wait_for(1_400).await;

    // The broker goes.
    kafka.kill();
    kafka.restart().await;
    producer.send(1_500, 30, 10);
    wait_until("everything to be acted on", LIMIT, async || {
        (numbers::acted(&pool).await >= 3_000).then_some(())
    })
    .await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.dead_lettered, report.failures), (0, 0), "{report:?}");
    assert!(dead_letters.list(1).await.unwrap().is_empty());
    let wrong = numbers::compare(&pool, &producer.produced).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
