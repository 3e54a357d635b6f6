//! Messages that no retry can help, and those that one can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use outbox_runtime::consumer::{Poison, Replayed, Unavailable};
use outbox_runtime::inbox::{DeadLetter, DeadLetterReason};
use outbox_runtime::{Consumer, Identified};
use outbox_tests::numbers::{Number, act};
use uuid::Uuid;

use crate::scene::{Scene, quick, wait_for};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A consumer of numbers that refuses messages of one type, fails with those of another one and panics with those of a
/// third one. `tries` counts how often it fails.
fn consumer_of_poison(scene: &Scene, tries: Arc<AtomicU32>) -> Consumer<sqlx::Postgres> {
    scene
        .counting()
        .on("RefusedV1", async |tx, _message, _: i64| {
            sqlx::query("INSERT INTO acted VALUES ('refused', 1)")
                .execute(&mut **tx)
                .await?;
            Err::<(), Failure>(Poison::new("not this one").into())
        })
        .on("FailingV1", async move |_tx, _message, _: i64| {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), Failure>("a bug".into())
        })
        .on(
            "PanickingV1",
            async |_tx, _message, _: i64| -> Result<(), Failure> { panic!("a worse bug") },
        )
        .build()
        .unwrap()
}

/// These are a broken message, one that was refused, one that failed, and one that panicked.
#[track_caller]
fn assert_reasons(kept: &[DeadLetter]) {
    let reasons: Vec<_> = kept
        .iter()
        .map(|dead_letter| (dead_letter.reason, dead_letter.attempts))
        .collect();
    assert_eq!(
        reasons,
        [
            (DeadLetterReason::Undecodable, 1),
            (DeadLetterReason::Refused, 1),
            (DeadLetterReason::Failed, 3),
            (DeadLetterReason::Failed, 3)
        ]
    );
    assert!(kept[1].error.contains("not this one"), "{}", kept[1].error);
    assert!(kept[2].error.contains("a bug"), "{}", kept[2].error);
    assert!(kept[3].error.contains("a worse bug"), "{}", kept[3].error);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_the_middle_holds_nothing_up() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(20, 4, 0);
    let broken = Uuid::now_v7();
    producer.record("k0", broken, "NumberV1", b"{\"key\": ");
    // The same one again is no second dead letter.
    producer.record("k0", broken, "NumberV1", b"{\"key\": ");
    let (refused, failing, panicking) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    producer.record("k1", refused, "RefusedV1", b"1");
    producer.record("k2", failing, "FailingV1", b"2");
    producer.record("k3", panicking, "PanickingV1", b"3");
    producer.send(20, 4, 0);
    let tries = Arc::new(AtomicU32::new(0));
    let consumer = consumer_of_poison(&scene, tries.clone());
    let dead_letters = consumer.dead_letters();
    let consumer = consumer.spawn();
    wait_for(&consumer, 45).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.processed, report.dead_lettered, report.duplicates),
        (40, 4, 1)
    );
    assert_eq!(report.failures, 2 + 1 + 3 + 3);
    assert_eq!(tries.load(Ordering::Relaxed), 3, "max_attempts");
    scene.assert_exact(&producer).await;

    let kept = dead_letters.list(10).await.unwrap();
    let kept: Vec<_> = [broken, refused, failing, panicking]
        .map(|id| {
            let found = kept
                .iter()
                .find(|dead_letter| dead_letter.message_id == id.to_string());
            found.unwrap_or_else(|| panic!("{id} is not in {kept:?}")).clone()
        })
        .into();
    assert_reasons(&kept);
    // Whole, with where it came from.
    let message = &kept[0].message;
    assert_eq!(
        (message.topic(), message.partition(), message.offset()),
        (scene.topic.name(), 0, 20)
    );
    assert_eq!(message.key(), Some(b"k0".as_slice()));
    assert_eq!(message.value(), Some(b"{\"key\": ".as_slice()));
    assert_eq!(message.message_id(), broken.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_can_be_tried_again_or_thrown_away() {
    let scene = Scene::new(1).await;
    let producer = scene.producer();
    let number = |key: &str| {
        serde_json::to_vec(&Number {
            key: key.to_owned(),
            number: 1,
        })
        .unwrap()
    };
    let ids = [Uuid::now_v7(), Uuid::now_v7()];
    producer.record("a", ids[0], "NumberV1", &number("a"));
    producer.record("b", ids[1], "NumberV1", &number("b"));
    producer.flush();
    let mended = Arc::new(AtomicU32::new(0));
    let build = || {
        let mended = mended.clone();
        let handler = async move |tx: &mut outbox_runtime::OutboxTx<'static, sqlx::Postgres>,
                                  _: &outbox_runtime::InboxMessage,
                                  number: Number| {
            act(&mut *tx, &number).await?;
            match mended.load(Ordering::Relaxed) {
                0 => Err::<(), Failure>("not yet".into()),
                _ => Ok(()),
            }
        };
        scene.builder().on("NumberV1", handler).build().unwrap()
    };
    let consumer = build();
    let dead_letters = consumer.dead_letters();
    let consumer = consumer.spawn();
    wait_for(&consumer, 2).await;
    consumer.stop().await.unwrap();

    let [first, second] = ids.map(|id| id.to_string());
    let still = dead_letters.replay(&first).await.unwrap();
    assert_eq!(still, Replayed::Failed("not yet".to_owned()));
    let kept = dead_letters.list(10).await.unwrap();
    let attempts = kept
        .iter()
        .find(|dead_letter| dead_letter.message_id == first)
        .unwrap()
        .attempts;
    assert_eq!((kept.len(), attempts, scene.acted().await), (2, 4, 0));

    mended.store(1, Ordering::Relaxed);
    assert_eq!(dead_letters.replay(&first).await.unwrap(), Replayed::Processed);
    assert_eq!(dead_letters.replay(&first).await.unwrap(), Replayed::Absent);
    let thrown = dead_letters.discard(&second).await.unwrap().unwrap();
    assert_eq!(thrown.message.value(), Some(number("b").as_slice()));
    assert!(dead_letters.list(10).await.unwrap().is_empty());
    assert_eq!(scene.acted().await, 1);

    // Neither comes back when it is delivered again.
    producer.record("a", ids[0], "NumberV1", &number("a"));
    producer.record("b", ids[1], "NumberV1", &number("b"));
    producer.flush();
    let consumer = build().spawn();
    wait_for(&consumer, 2).await;
    assert_eq!(consumer.stop().await.unwrap().unwrap().duplicates, 2);
}

/// What is away is no reason to give a message up, however long it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_can_say_that_something_is_away() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(5, 1, 0);
    let away = Arc::new(AtomicU32::new(20));
    let config = quick().max_attempts(1);
    let consumer = scene.builder().config(config).on("NumberV1", {
        let away = away.clone();
        async move |tx, _message, number: Number| {
            act(&mut *tx, &number).await?;
            let left = away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            match left {
                Ok(_) => Err::<(), Failure>(Unavailable::new("status 503").into()),
                Err(_) => Ok(()),
            }
        }
    });
    let consumer = consumer.build().unwrap().spawn();
    scene.wait_for_acted(5).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.processed, report.outages, report.failures), (5, 20, 0));
    scene.assert_exact(&producer).await;
}
