//! Faults of records, topics, relays, tables and consumers, and what ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox_runtime::consumer::ConsumerConfig;
use outbox_runtime::store::{DeadLetterFilter, DeadLetterState, DeadLetters, Store as _};
use outbox_runtime::{Consumer, DeliveryMode};
use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::servers::{PostgresVersion, brokers};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::AssertSqlSafe;
use tokio::sync::Semaphore;

use super::watch::Watch;
use crate::program;
use crate::scene::{Failure, LIMIT, Scene, emit, quick};

/// A record is too large for its topic, until it is discarded.
pub(super) async fn dead_letters(watch: &Watch) {
    let scene = Scene::new().await;
    let (log, brokers) = (scene.log(), brokers());
    let small = Topic::create_at(&brokers, "small", 1, &[("max.message.bytes", "2000")]).await;
    let dead = [("log", &*log), ("topic", small.name()), ("reason", "too_large")];
    let _sampler = scene.sampler();
    let relay = scene.start(&brokers);
    scene.commit(&[small.name()]).await;
    scene.until("outbox_delivered_records_total", &[], 1.0).await;
    watch.is_silent("OutboxDeadLetters", &[("log", &log)]);
    let large = format!("\"{}\"", "x".repeat(4_000));
    emit(&scene.outbox, &[small.name()], &large).await;
    watch.fires("OutboxDeadLetters", &dead).await;
    let dead_letters = DeadLetters::in_postgres(&scene.database.pool, &scene.tables);
    let any = DeadLetterFilter::default();
    assert_eq!(
        dead_letters.discard(&any, DeadLetterState::Dead).await.unwrap(),
        1
    );
    watch.ends("OutboxDeadLetters", &dead).await;
    relay.stop().await.unwrap();
}

/// A topic is missing while another one takes records, until it is created.
pub(super) async fn suspended_topic(watch: &Watch) {
    let scene = Scene::new().await;
    let (log, brokers) = (scene.log(), brokers());
    let (gone, other) = (Topic::create("gone", 1).await, Topic::create("there", 1).await);
    let _sampler = scene.sampler();
    let relay = scene.start(&brokers);
    scene.commit(&[gone.name(), other.name()]).await;
    scene.until("outbox_delivered_records_total", &[], 2.0).await;
    watch.is_silent("OutboxTopicSuspended", &[("log", &log)]);
    gone.delete().await;
    wait_until("the topic to be suspended", LIMIT, async || {
        scene.commit(&[gone.name(), other.name()]).await;
        (scene.value("outbox_suspended_topics", &[]) == 1.0).then_some(())
    })
    .await;
    let suspended = [("log", &*log), ("topic", gone.name())];
    watch.fires("OutboxTopicSuspended", &suspended).await;
    gone.create_again(&[]).await;
    watch.ends("OutboxTopicSuspended", &suspended).await;
    relay.stop().await.unwrap();
}

/// The only relay is killed; then relays come and go.
pub(super) async fn leadership(watch: &Watch) {
    let scene = Scene::new().await;
    let log = scene.log();
    let of_log = [("log", &*log)];
    let killed = Running::start(program::relay(&scene, "--lease-ttl 1500ms"));
    wait_until("the relay to be active", LIMIT, async || {
        scene.store().status().await.unwrap().lease
    })
    .await;
    let _sampler = scene.sampler();
    watch
        .value(
            &format!("max by (log) (outbox_lease_epoch{{log=\"{log}\"}})"),
            1.0,
        )
        .await;
    watch.is_silent("OutboxNoActiveRelay", &of_log);
    killed.kill().await;
    watch.fires("OutboxNoActiveRelay", &of_log).await;

    watch.is_silent("OutboxLeaseFlapping", &of_log);
    for _ in 0..5 {
        let relay = scene.start(&brokers());
        scene.until("outbox_relay_active", &[], 1.0).await;
        relay.stop().await.unwrap();
    }
    let relay = scene.start(&brokers());
    watch.ends("OutboxNoActiveRelay", &of_log).await;
    watch.fires("OutboxLeaseFlapping", &of_log).await;
    watch.ends("OutboxLeaseFlapping", &of_log).await;
    relay.stop().await.unwrap();
}

/// The last partition fills while no relay makes room. The relay that then does is one of exactly-once delivery.
pub(super) async fn partitions(watch: &Watch) {
    let database = TestDatabase::partitioned_at(PostgresVersion::Distribution, 10).await;
    let scene = Scene::of(database);
    let (log, topic) = (scene.log(), Topic::create("partitions", 1).await);
    let of_log = [("log", &*log)];
    let _sampler = scene.sampler();
    wait_until("the partitions to be counted", LIMIT, async || {
        (scene.value("outbox_log_partitions_ahead", &[]) > 0.0).then_some(())
    })
    .await;
    watch.is_silent("OutboxPartitionsRunningOut", &of_log);
    let room = scene.value("outbox_log_partitions_ahead", &[]) as usize * 10;
    scene.commit(&vec![topic.name(); room]).await;
    watch.fires("OutboxPartitionsRunningOut", &of_log).await;
    let relay = scene.relay(&brokers(), quick(DeliveryMode::ExactlyOnce)).spawn();
    watch.ends("OutboxPartitionsRunningOut", &of_log).await;
    let delivered = "outbox_delivered_records_total";
    scene.until(delivered, &[], room as f64).await;
    // A rate needs transactions on both sides of a scrape.
    let transactions = format!("outbox_kafka_transaction_records_count{{log=\"{log}\"}} > bool 0");
    watch.value(&transactions, 1.0).await;
    scene.commit(&[topic.name()]).await;
    scene.until(delivered, &[], (room + 1) as f64).await;
    relay.stop().await.unwrap();
}

/// Messages come, and none is deleted, until all are.
pub(super) async fn growing_table(watch: &Watch) {
    let scene = Scene::new().await;
    let log = scene.log();
    let of_log = [("log", &*log)];
    let run = async |statement: &str| {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement)
            .execute(&scene.database.pool)
            .await
            .unwrap();
    };
    let _sampler = scene.sampler();
    let size = "outbox_log_table_bytes";
    wait_until("the size to be known", LIMIT, async || scene.known(size, &[])).await;
    watch.is_silent("OutboxTableGrowing", &of_log);
    let grow = async {
        let mut pace = tokio::time::interval(Duration::from_secs(1));
        loop {
            pace.tick().await;
            run("INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                 SELECT 'order', 'k', 'OrderPlacedV1', 'nowhere', to_json(repeat('x', 500)) FROM generate_series(1, 500)")
            .await;
        }
    };
    tokio::select! {
        () = grow => {}
        () = watch.fires("OutboxTableGrowing", &of_log) => {}
    }
    run("SET outbox.allow_delete_undelivered = on; TRUNCATE outbox_messages; RESET outbox.allow_delete_undelivered").await;
    watch.ends("OutboxTableGrowing", &of_log).await;
}

/// A transaction that has written stays open.
pub(super) async fn long_transaction(watch: &Watch) {
    let scene = Scene::new().await;
    let log = scene.log();
    let of_log = [("log", &*log)];
    let _sampler = scene.sampler();
    scene.until("outbox_oldest_transaction_seconds", &[], 0.0).await;
    watch.is_silent("OutboxLongTransaction", &of_log);
    let mut tx = scene.database.pool.begin().await.unwrap();
    let statement = "CREATE TABLE something ()";
    sqlx::query(statement).execute(&mut *tx).await.unwrap();
    watch.fires("OutboxLongTransaction", &of_log).await;
    tx.rollback().await.unwrap();
    watch.ends("OutboxLongTransaction", &of_log).await;
}

/// A handler fails once, handles some messages, and hangs.
pub(super) async fn stuck_consumer(watch: &Watch) {
    let scene = Scene::new().await;
    let (log, topic) = (scene.log(), Topic::create("stuck", 1).await);
    let group = format!("group-{}", topic.name());
    let stuck = [("log", &*log), ("consumer", &*group)];
    let _sampler = scene.sampler();
    let relay = scene.start(&brokers());
    // A handler hangs while there is no permit.
    let permits = Arc::new(Semaphore::new(3));
    let handled = permits.clone();
    let first = Arc::new(AtomicBool::new(true));
    let consumer = Consumer::builder(&scene.outbox, brokers(), &group)
        .topic(topic.name())
        .property("statistics.interval.ms", "100")
        .config(ConsumerConfig::new().backoff_min(Duration::from_millis(10)))
        .on_message("OrderPlacedV1", async move |_tx, _message, ()| {
            if first.swap(false, Ordering::SeqCst) {
                return Err(Failure::from("not yet"));
            }
            handled.acquire().await.map_err(Failure::from)?.forget();
            Ok(())
        });
    let consumer = consumer.build().unwrap().spawn();
    scene.commit(&[topic.name(); 3]).await;
    let processed = [("consumer", &*group), ("outcome", "processed")];
    scene
        .until("outbox_consumer_messages_total", &processed, 3.0)
        .await;
    watch.is_silent("OutboxConsumerStuck", &stuck);
    scene.commit(&[topic.name(); 20]).await;
    watch.fires("OutboxConsumerStuck", &stuck).await;
    permits.add_permits(1_000);
    watch.ends("OutboxConsumerStuck", &stuck).await;
    consumer.stop().await.unwrap();
    relay.stop().await.unwrap();
}
