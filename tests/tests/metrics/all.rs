//! What is exported is documented, and what is documented is exported.

use std::collections::BTreeSet;
use std::time::Duration;

use outbox_runtime::consumer::{ConsumerConfig, RunningConsumer};
use outbox_runtime::metrics::ALL;
use outbox_runtime::store::{DeadLetterFilter, DeadLetterState, DeadLetters};
use outbox_runtime::{Consumer, DeliveryMode};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, PostgresVersion};
use outbox_tests::{TestDatabase, wait_until};

use crate::exposition::Exposition;
use crate::scene::{Failure, LIMIT, Scene, emit, emit_directly, quick};

/// A consumer that fails once, and receives a message of a type that it does not know.
async fn consumer_that_fails_once(scene: &Scene, brokers: &str, topic: &Topic) -> RunningConsumer {
    let group = format!("group-{}", topic.name());
    let failures = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let consumer = Consumer::builder(&scene.outbox, brokers, &group)
        .topic(topic.name())
        .property("statistics.interval.ms", "100")
        .config(ConsumerConfig::new().backoff_min(Duration::from_millis(10)))
        .on_message("OrderPlacedV1", async move |_tx, _message, ()| {
            match failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Err(Failure::from("not yet")),
                _ => Ok(()),
            }
        });
    let consumer = consumer.build().unwrap().spawn();
    let processed = [("consumer", group.as_str()), ("outcome", "processed")];
    scene
        .until("outbox_consumer_messages_total", &processed, 5.0)
        .await;
    let of_group = [("consumer", group.as_str())];
    scene.until("outbox_consumer_lag_records", &of_group, 0.0).await;
    assert_eq!(
        scene.value("outbox_consumer_handler_seconds_count", &of_group),
        6.0
    );
    let failed = [("consumer", group.as_str()), ("reason", "failure")];
    assert_eq!(scene.value("outbox_consumer_retries_total", &failed), 1.0);
    let new = [("consumer", group.as_str()), ("outcome", "new")];
    assert_eq!(scene.value("outbox_inbox_messages_total", &new), 5.0);
    consumer
}

async fn assert_exported_as_documented() {
    let documented: BTreeSet<&str> = ALL.iter().map(|series| series.name).collect();
    wait_until("every series to be exported", LIMIT, async || {
        let exposition = Exposition::here();
        let exported: BTreeSet<&str> = exposition.families().into_keys().collect();
        let missing: Vec<_> = documented.difference(&exported).collect();
        missing.is_empty().then_some(())
    })
    .await;
    let exposition = Exposition::here();
    for (name, labels) in exposition.families() {
        let known = ALL.iter().find(|series| series.name == name);
        let known = known.unwrap_or_else(|| panic!("{name} is not documented"));
        let expected: BTreeSet<&str> = known.labels.iter().copied().collect();
        assert_eq!(labels.into_iter().collect::<BTreeSet<_>>(), expected, "{name}");
        assert_eq!(exposition.kinds[name], known.kind.as_str(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_exported_and_documented() {
    let scene = Scene::of(TestDatabase::partitioned_at(PostgresVersion::Distribution, 1_000).await);
    let brokers = servers::brokers();
    let topic = Topic::create_at(&brokers, "every", 1, &[("max.message.bytes", "2000")]).await;
    let _sampler = scene.sampler();
    // One record is dead, the next one parked behind it; both leave the dead letters, and one is redelivered.
    let large = format!("\"{}\"", "x".repeat(4_000));
    emit(&scene.outbox, &[topic.name()], &large).await;
    scene.commit(&[topic.name(); 5]).await;
    let config = quick(DeliveryMode::AtLeastOnce).block(vec![topic.name().to_owned()]);
    let relay = scene.relay(&brokers, config).spawn();
    scene
        .until("outbox_dead_letters", &[("state", "parked")], 5.0)
        .await;
    let dead_letters = DeadLetters::in_postgres(&scene.database.pool, &scene.tables);
    let any = DeadLetterFilter::default();
    assert_eq!(
        dead_letters.discard(&any, DeadLetterState::Dead).await.unwrap(),
        1
    );

    let consumer = consumer_that_fails_once(&scene, &brokers, &topic).await;

    // An event that goes past the log.
    emit_directly(&scene, "direct").await;
    let delivered = [("topic", "direct"), ("outcome", "delivered")];
    assert_eq!(scene.value("outbox_direct_events_total", &delivered), 1.0);

    assert_exported_as_documented().await;
    consumer.stop().await.unwrap();
    relay.stop().await.unwrap();
}
