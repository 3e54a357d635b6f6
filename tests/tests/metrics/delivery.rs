//! Counters of delivery and of writing equal what happened.

use outbox_runtime::store::{DeadLetterFilter, DeadLetterState, DeadLetters};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{DeliveryMode, OutboxTx, Relay};
use outbox_tests::kafka::Topic;
use outbox_tests::{servers, wait_until};
use sqlx::Postgres;

use crate::scene::{Failure, LIMIT, Scene, emit, message, quick};

const COMMITTED: usize = 60;

/// Transactions of one message to one topic and two to another, one of them rolled back, and an `enqueue`.
async fn write(scene: &Scene, one: &Topic, two: &Topic) {
    for _ in 0..COMMITTED {
        emit(&scene.outbox, &[one.name(), two.name(), two.name()], r#"{"n":1}"#).await;
    }
    let refused: Result<(), Failure> = scene
        .outbox
        .transaction(async |tx: &mut OutboxTx<'_, Postgres>| {
            tx.emit_message(message(one.name(), "k", "{}"))?;
            Err("no".into())
        })
        .await;
    assert!(refused.is_err());
    let mut tx = scene.database.pool.begin().await.unwrap();
    let enqueued = scene
        .outbox
        .enqueue_message(&mut tx, message(one.name(), "k", r#"{"n":1}"#));
    let enqueued = enqueued.await.unwrap();
    tx.commit().await.unwrap();
    enqueued.wake();
}

async fn counters_equal_the_truth(delivery: DeliveryMode) {
    let scene = Scene::new().await;
    let (one, two) = (
        Topic::create("metrics", 2).await,
        Topic::create("metrics", 1).await,
    );
    write(&scene, &one, &two).await;
    scene.drain(delivery).await;

    let (to_one, to_two) = (one.read_committed().await.len(), two.read_committed().await.len());
    assert_eq!((to_one, to_two), (COMMITTED + 1, 2 * COMMITTED));
    for (topic, records) in [(&one, to_one as f64), (&two, to_two as f64)] {
        let topic = [("topic", topic.name())];
        assert_eq!(scene.value("outbox_delivered_records_total", &topic), records);
        assert_eq!(scene.value("outbox_delivery_seconds_count", &topic), records);
        // The payload, the key `k`, and the headers `{}`.
        assert_eq!(
            scene.value("outbox_delivered_bytes_total", &topic),
            records * 10.0
        );
        assert_eq!(scene.value("outbox_written_events_total", &topic), records);
    }
    let all = (3 * COMMITTED + 1) as f64;
    let slowest = scene.value("outbox_delivery_seconds_sum", &[]);
    assert!(slowest > 0.0 && slowest < all * LIMIT.as_secs_f64(), "{slowest}");
    assert_eq!(scene.value("outbox_page_records_sum", &[]), all);
    assert_eq!(scene.value("outbox_window_records_sum", &[]), all);
    let in_transactions = scene.value("outbox_kafka_transaction_records_sum", &[]);
    let exactly_once = delivery == DeliveryMode::ExactlyOnce;
    assert_eq!(in_transactions, if exactly_once { all } else { 0.0 });
    let outcome = |outcome| scene.value("outbox_transactions_total", &[("outcome", outcome)]);
    assert_eq!(
        (outcome("committed"), outcome("rolled_back"), outcome("unknown")),
        (COMMITTED as f64, 1.0, 0.0)
    );
    assert_eq!(scene.value("outbox_transaction_events_sum", &[]), all);
    assert_eq!(scene.value("outbox_transaction_bytes_sum", &[]), all * 7.0);
    assert_eq!(
        scene.value("outbox_insert_seconds_count", &[]),
        COMMITTED as f64 + 1.0
    );
    // The relay has ended: nothing is in flight, and nobody is active.
    assert_eq!(scene.value("outbox_leader_terms_total", &[]), 1.0);
    for gauge in [
        "outbox_relay_up",
        "outbox_relay_active",
        "outbox_in_flight_records",
        "outbox_in_flight_bytes",
    ] {
        assert_eq!(scene.known(gauge, &[]), Some(0.0), "{gauge}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_equal_the_truth_at_least_once() {
    counters_equal_the_truth(DeliveryMode::AtLeastOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_equal_the_truth_exactly_once() {
    counters_equal_the_truth(DeliveryMode::ExactlyOnce).await;
}

/// A record that is too large is dead, the one behind it parked, until somebody throws the dead one away.
async fn dead_letters_are_counted_by_topic_and_reason(delivery: DeliveryMode) {
    let scene = Scene::new().await;
    let brokers = servers::brokers();
    let small = Topic::create_at(&brokers, "small", 1, &[("max.message.bytes", "2000")]).await;
    let other = Topic::create("other", 1).await;
    let large = format!("\"{}\"", "x".repeat(4_000));
    emit(&scene.outbox, &[small.name()], &large).await;
    scene.commit(&[small.name(), other.name()]).await;
    let sampler = scene.sampler();
    let config = quick(delivery).block(vec![small.name().to_owned()]);
    let relay = scene.relay(&brokers, config).spawn();

    let dead = [
        ("topic", small.name()),
        ("state", "dead"),
        ("reason", "too_large"),
    ];
    let parked = [
        ("topic", small.name()),
        ("state", "parked"),
        ("reason", "behind_dead"),
    ];
    scene.until("outbox_dead_letters", &dead, 1.0).await;
    scene.until("outbox_dead_letters", &parked, 1.0).await;
    scene
        .until("outbox_delivered_records_total", &[("topic", other.name())], 1.0)
        .await;
    let by_reason = |name, reason| scene.value(name, &[("topic", small.name()), ("reason", reason)]);
    assert_eq!(by_reason("outbox_dead_lettered_records_total", "too_large"), 1.0);
    assert_eq!(by_reason("outbox_parked_records_total", "behind_dead"), 1.0);
    assert_eq!(scene.value("outbox_dead_lettered_records_total", &[]), 1.0);
    assert_eq!(
        scene.value("outbox_dead_letters", &[("topic", other.name())]),
        0.0
    );

    let dead_letters = DeadLetters::in_postgres(&scene.database.pool, &scene.tables);
    let any = DeadLetterFilter::default();
    assert_eq!(
        dead_letters.discard(&any, DeadLetterState::Dead).await.unwrap(),
        1
    );
    let of_small = [("topic", small.name())];
    scene
        .until("outbox_redelivered_records_total", &of_small, 1.0)
        .await;
    scene
        .until("outbox_delivered_records_total", &of_small, 1.0)
        .await;
    scene.until("outbox_dead_letters", &dead, 0.0).await;
    scene.until("outbox_dead_letters", &parked, 0.0).await;
    assert_eq!(scene.value("outbox_delivery_seconds_count", &of_small), 1.0);
    relay.stop().await.unwrap();
    sampler.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_counted_by_topic_and_reason_at_least_once() {
    dead_letters_are_counted_by_topic_and_reason(DeliveryMode::AtLeastOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_counted_by_topic_and_reason_exactly_once() {
    dead_letters_are_counted_by_topic_and_reason(DeliveryMode::ExactlyOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_topic_and_what_is_parked_for_it_are_counted() {
    let scene = Scene::new().await;
    let broker = MemoryBroker::new();
    broker.forbid_topic("sick");
    let relay = Relay::builder(scene.store(), broker.publisher()).config(quick(DeliveryMode::AtLeastOnce));
    let relay = relay.build().unwrap().spawn();
    let reason = [("topic", "sick"), ("reason", "topic_unavailable")];
    wait_until("the topic to be suspended", LIMIT, async || {
        scene.commit(&["sick", "well"]).await;
        (scene.value("outbox_suspended_topics", &[]) == 1.0).then_some(())
    })
    .await;
    wait_until("records to be parked", LIMIT, async || {
        (scene.value("outbox_parked_records_total", &reason) > 0.0).then_some(())
    })
    .await;
    assert!(scene.value("outbox_publish_errors_total", &[("reason", "topic")]) > 0.0);
    broker.mend_topic("sick");
    let written = scene.value("outbox_written_events_total", &[("topic", "sick")]);
    scene
        .until("outbox_delivered_records_total", &[("topic", "sick")], written)
        .await;
    scene.until("outbox_suspended_topics", &[], 0.0).await;
    let parked = scene.value("outbox_parked_records_total", &reason);
    scene
        .until("outbox_redelivered_records_total", &[("topic", "sick")], parked)
        .await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_may_come_twice_are_counted_by_reason() {
    let scene = Scene::new().await;
    let broker = MemoryBroker::new();
    broker.hold();
    let config = quick(DeliveryMode::AtLeastOnce).shutdown_timeout(std::time::Duration::from_millis(50));
    let relay = Relay::builder(scene.store(), broker.publisher()).config(config);
    let relay = relay.build().unwrap().spawn();
    scene.commit(&["t", "t", "t"]).await;
    scene.until("outbox_in_flight_records", &[], 3.0).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(report.possible_duplicates.stop_deadline, 3);
    let reason = |reason| scene.value("outbox_possible_duplicates_total", &[("reason", reason)]);
    assert_eq!((reason("stop_deadline"), reason("lost_lease")), (3.0, 0.0));
    assert_eq!(scene.known("outbox_in_flight_records", &[]), Some(0.0));
}
