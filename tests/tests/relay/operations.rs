//! What operators do to single keys and messages while a relay works: nothing is lost by it, and keys keep their order.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use outbox_runtime::publisher::PublishErrorKind;
use outbox_runtime::store::{
    Controls, DeadLetterFilter, DeadLetters, Decision, PauseScope, RewindError, RewindTo, Skip,
};
use outbox_runtime::testkit::MemoryRecord;
use outbox_runtime::{RelayWaker, RunningRelay, Tables};
use outbox_tests::wait_until;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::{LIMIT, Scene, quick};

const PARKED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked' AND reason = 'key_paused'";
pub(crate) const IN_DEAD_LETTERS: &str = "count(*) FROM outbox_dead_letters";

pub(crate) fn controls(scene: &Scene) -> Controls {
    Controls::in_sqlite(&scene.database.pool, &Tables::default())
}

pub(crate) fn because(reason: &str) -> Decision {
    Decision::new("ana", reason)
}

pub(crate) fn start(scene: &Scene, block: &[&str]) -> RunningRelay {
    let config = quick()
        .block(block.iter().map(|topic| (*topic).to_owned()).collect())
        .shutdown_timeout(LIMIT)
        .page_rows(20);
    scene.relay_with(config, RelayWaker::new()).spawn()
}

/// The ids that were committed, by key.
#[derive(Default)]
pub(crate) struct Committed(RefCell<HashMap<String, Vec<Uuid>>>);

impl Committed {
    pub(crate) fn of(&self, key: &str) -> Vec<Uuid> {
        self.0.borrow().get(key).cloned().unwrap_or_default()
    }
}

/// Commits an event of each of these keys, in this order, and remembers their ids.
pub(crate) async fn commit(scene: &Scene, topic: &str, keys: &[&str], committed: &Committed) {
    for key in keys {
        let id = Uuid::now_v7();
        let insert = format!(
            "INSERT INTO {} (id, aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ($1, 'order', $2, 'OrderPlacedV1', $3, '{{}}')",
            Tables::default().messages()
        );
        sqlx::query(AssertSqlSafe(insert))
            .bind(id.to_string())
            .bind(*key)
            .bind(topic)
            .execute(&scene.database.pool)
            .await
            .unwrap();
        let mut all = committed.0.borrow_mut();
        all.entry((*key).to_owned()).or_default().push(id);
    }
}

pub(crate) fn arrived(scene: &Scene, key: &str) -> Vec<Uuid> {
    let log: Vec<MemoryRecord> = scene.broker.log();
    let of_key = log.into_iter().filter(|record| record.key == key);
    of_key.map(|record| record.id).collect()
}

pub(crate) async fn until_arrived(scene: &Scene, key: &str, ids: &[Uuid]) {
    wait_until(&format!("the key {key} to have arrived"), LIMIT, async || {
        (arrived(scene, key).len() >= ids.len()).then_some(())
    })
    .await;
    assert_eq!(arrived(scene, key), ids, "{key}");
}

pub(crate) async fn until_count(scene: &Scene, of: &str, count: i64) {
    wait_until(&format!("{count} to be the {of}"), LIMIT, async || {
        (scene.count(of).await == count).then_some(())
    })
    .await;
}

/// In a topic whose keys wait for themselves, and in one whose keys do not; in all topics, and in one.
#[tokio::test]
async fn a_paused_key_waits_in_order_and_others_go_on() {
    for (block, topic) in [
        (&[][..], None),
        (&[][..], Some("orders")),
        (&["orders"][..], Some("orders")),
    ] {
        // GIVEN a key that was paused before the relay began
        let scene = Scene::new().await;
        let (controls, ana) = (controls(&scene), PauseScope::key(topic, "ana"));
        assert!(controls.pause(&ana, &because("a dispute")).await.unwrap());
        let committed = Committed::default();
        commit(&scene, "orders", &["ana", "bob", "ana", "bob"], &committed).await;
        let relay = start(&scene, block);
        until_arrived(&scene, "bob", &committed.of("bob")).await;
        until_count(&scene, PARKED, 2).await;
        assert!(arrived(&scene, "ana").is_empty(), "{block:?} {topic:?}");

        // WHEN it is resumed, paused and resumed again in the middle of traffic
        for _ in 0..3 {
            controls.resume(&ana, &because("done")).await.unwrap();
            commit(&scene, "orders", &["bob", "ana", "bob", "ana"], &committed).await;
            until_arrived(&scene, "ana", &committed.of("ana")).await;
            until_arrived(&scene, "bob", &committed.of("bob")).await;
            until_count(&scene, IN_DEAD_LETTERS, 0).await;

            controls.pause(&ana, &because("again")).await.unwrap();
            wait_until("the relay to follow", LIMIT, async || {
                commit(&scene, "orders", &["ana"], &committed).await;
                (scene.count(PARKED).await > 0).then_some(())
            })
            .await;
            let before = arrived(&scene, "ana");
            commit(&scene, "orders", &["ana", "bob", "ana"], &committed).await;
            until_arrived(&scene, "bob", &committed.of("bob")).await;
            assert_eq!(arrived(&scene, "ana"), before, "it is paused");
        }
        // THEN everything arrives, each once, in the order of its key
        controls.resume(&ana, &because("done")).await.unwrap();
        until_arrived(&scene, "ana", &committed.of("ana")).await;
        until_count(&scene, IN_DEAD_LETTERS, 0).await;
        relay.stop().await.unwrap();
        assert_eq!(controls.audit(1).await.unwrap()[0].scope, "key");
    }
}

#[tokio::test]
async fn a_key_is_paused_in_one_topic_only() {
    let scene = Scene::new().await;
    let (controls, ana) = (controls(&scene), PauseScope::key(Some("orders"), "ana"));
    controls.pause(&ana, &because("a dispute")).await.unwrap();
    let committed = Committed::default();
    commit(&scene, "orders", &["ana", "ana"], &Committed::default()).await;
    commit(&scene, "bills", &["ana", "ana"], &committed).await;
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(arrived(&scene, "ana"), committed.of("ana"));
    assert_eq!(scene.count(PARKED).await, 2);
    // A topic that is suspended beside it goes on without the key.
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.count(PARKED).await, 2);
}

/// In a topic whose keys wait behind a dead record, and in one whose keys do not.
#[tokio::test]
async fn a_skipped_message_goes_to_the_dead_letters_and_its_key_goes_on() {
    for block in [&[][..], &["orders"]] {
        // GIVEN messages that wait, because the log is paused
        let scene = Scene::new().await;
        let controls = controls(&scene);
        controls
            .pause(&PauseScope::Log, &because("a look"))
            .await
            .unwrap();
        let relay = start(&scene, block);
        let committed = Committed::default();
        commit(&scene, "orders", &["ana", "ana", "bob", "ana"], &committed).await;
        let skipped = committed.of("ana")[1];

        // WHEN one of them is skipped
        let asked = controls.skip(skipped, &because("it is wrong")).await.unwrap();
        assert_eq!(asked, Skip::Requested);
        assert_eq!(controls.skips().await.unwrap()[0].id, skipped);
        controls.resume(&PauseScope::Log, &because("done")).await.unwrap();

        // THEN the others arrive, and it stands in the dead letters with who and why
        wait_until("it to be skipped", LIMIT, async || {
            (controls.skipped(skipped).await.unwrap() == Skip::Done).then_some(())
        })
        .await;
        let others = [committed.of("ana")[0], committed.of("ana")[2]];
        until_arrived(&scene, "ana", &others).await;
        let dead_letters = DeadLetters::in_sqlite(&scene.database.pool, &Tables::default());
        let shown = dead_letters.show(skipped).await.unwrap();
        let (reason, error) = (&shown[0].listed.reason, &shown[0].listed.error);
        assert!(
            reason == "skipped" && error.contains("by ana: it is wrong"),
            "{reason} {error}"
        );
        assert_eq!(controls.skips().await.unwrap(), []);

        // AND later messages of its key, until a replay sends it
        commit(&scene, "orders", &["ana"], &committed).await;
        let mut sent = vec![others[0], others[1], committed.of("ana")[3]];
        until_arrived(&scene, "ana", &sent).await;
        assert_eq!(scene.count(IN_DEAD_LETTERS).await, 1);
        dead_letters
            .request_replay(&DeadLetterFilter::default())
            .await
            .unwrap();
        sent.push(skipped);
        until_arrived(&scene, "ana", &sent).await;
        until_count(&scene, IN_DEAD_LETTERS, 0).await;
        relay.stop().await.unwrap();
        let audit = controls.audit(10).await.unwrap();
        let audit = audit.iter().find(|entry| entry.action == "skip").unwrap();
        assert_eq!(
            (audit.name.clone(), audit.by.as_str()),
            (skipped.to_string(), "ana")
        );
    }
}

#[tokio::test]
async fn a_dead_record_that_is_skipped_lets_its_key_go_on() {
    // GIVEN a key behind a dead record
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let committed = Committed::default();
    commit(&scene, "orders", &["ana", "ana", "ana"], &committed).await;
    let dead = committed.of("ana")[0];
    scene.broker.refuse(dead, PublishErrorKind::Record("too_large"));
    let relay = start(&scene, &["orders"]);
    until_count(&scene, IN_DEAD_LETTERS, 3).await;
    assert!(arrived(&scene, "ana").is_empty());
    // WHEN it is skipped
    assert_eq!(controls.skip(dead, &because("known")).await.unwrap(), Skip::Done);
    // THEN the others go, and what comes later, and it stays
    until_arrived(&scene, "ana", &committed.of("ana")[1..]).await;
    commit(&scene, "orders", &["ana"], &committed).await;
    until_arrived(&scene, "ana", &committed.of("ana")[1..]).await;
    until_count(&scene, IN_DEAD_LETTERS, 1).await;
    assert_eq!(controls.skip(dead, &because("again")).await.unwrap(), Skip::Done);
    let delivered = committed.of("ana")[1];
    assert_eq!(
        controls.skip(delivered, &because("late")).await.unwrap(),
        Skip::NotWaiting
    );
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn a_wish_to_skip_is_taken_back() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let ids = scene.commit(2).await;
    assert_eq!(
        controls.skip(ids[0], &because("wrong")).await.unwrap(),
        Skip::Requested
    );
    assert!(controls.cancel_skip(ids[0], &because("right")).await.unwrap());
    assert!(!controls.cancel_skip(ids[0], &because("again")).await.unwrap());
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), ids);
}

#[tokio::test]
async fn a_rewind_in_the_middle_of_traffic_sends_again_from_there_on() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let relay = start(&scene, &[]);
    let mut ids = scene.commit(50).await;
    scene.until_log_has(50).await;
    let outlook = controls.rewind_outlook(RewindTo::Seq(31)).await.unwrap();
    wait_until("the cursor to be written", LIMIT, async || {
        (scene.count("high FROM outbox_cursor").await == 50).then_some(())
    })
    .await;
    assert!(outlook.messages <= 20, "{outlook:?}");
    for round in 1..=3 {
        ids.extend(scene.commit(10).await);
        let last = scene.count("max(seq) FROM outbox_messages").await;
        // What is not behind the cursor cannot be sent again.
        wait_until("the cursor to be written", LIMIT, async || {
            (scene.count("high FROM outbox_cursor").await >= 50).then_some(())
        })
        .await;
        let outlook = controls
            .rewind(RewindTo::Seq(31), &because("a consumer lost them"))
            .await
            .unwrap();
        assert_eq!(outlook.from_seq, Some(31), "{outlook:?}");
        ids.extend(scene.commit(10).await);
        // Each from 31 on comes once more, and then what is new.
        wait_until("all to come again", LIMIT, async || {
            let again = scene.broker.ids().iter().filter(|id| **id == ids[30]).count();
            let newest = scene.broker.ids().contains(ids.last().unwrap());
            (again == round + 1 && newest).then_some(())
        })
        .await;
        assert!(last > 31);
    }
    relay.stop().await.unwrap();
    let arrived = scene.broker.ids();
    let times = |id: &Uuid| arrived.iter().filter(|there| *there == id).count();
    assert!(ids[..30].iter().all(|id| times(id) == 1), "from 31 on only");
    assert!(ids[30..50].iter().all(|id| times(id) == 4), "three times more");
    let mut firsts: Vec<Uuid> = Vec::new();
    for id in &arrived {
        if !firsts.contains(id) {
            firsts.push(*id);
        }
    }
    assert_eq!(firsts, ids, "the first of each in order");
    let audit = controls.audit(1).await.unwrap();
    assert_eq!(
        (audit[0].action.as_str(), audit[0].after.as_deref()),
        ("rewind", Some("seq 31"))
    );
}

/// Records that were in flight at a rewind, and are acknowledged only afterwards, come once more behind the older ones.
#[tokio::test]
async fn what_was_in_flight_at_a_rewind_comes_again_in_its_order() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let config = quick().suspend_after(Duration::from_millis(30));
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let mut ids = scene.commit(10).await;
    wait_until("the cursor to be written", LIMIT, async || {
        (scene.count("high FROM outbox_cursor").await == 10).then_some(())
    })
    .await;
    scene.broker.hold_topic("orders");
    controls
        .rewind(RewindTo::Seq(1), &because("a consumer lost them"))
        .await
        .unwrap();
    // The relay notices when it writes the cursor past the first of them, while the others are in flight.
    let mut transaction = scene.database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for topic in ["invoices", "orders", "orders", "orders"] {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO outbox_messages (id, aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ($1, 'order', 'one', 'OrderPlacedV1', $2, '{}')",
        )
        .bind(id.to_string())
        .bind(topic)
        .execute(&mut *transaction)
        .await
        .unwrap();
        ids.push(id);
    }
    transaction.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.broker.release();
    wait_until("all to come again", Duration::from_secs(30), async || {
        let arrived = scene.broker.ids();
        let often = |id: &&Uuid| arrived.iter().filter(|there| there == id).count() >= 2;
        (ids.iter().filter(often).count() == ids.len()).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    let arrived = scene.broker.ids();
    let last = |id: &Uuid| arrived.iter().rposition(|there| there == id);
    let orders: Vec<_> = ids.iter().filter(|id| **id != ids[10]).map(last).collect();
    assert!(orders.is_sorted(), "{orders:?}");
}

#[tokio::test]
async fn a_rewind_goes_as_far_as_messages_are_there() {
    let scene = Scene::new().await;
    let controls = controls(&scene);
    let ids = scene.commit(20).await;
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    scene.count("count(*) FROM outbox_messages").await;
    sqlx::query("DELETE FROM outbox_messages WHERE seq <= 10")
        .execute(&scene.database.pool)
        .await
        .unwrap();
    for to in [RewindTo::Seq(10), RewindTo::Time(chrono::DateTime::UNIX_EPOCH)] {
        let refused = controls.rewind(to, &because("too far")).await.unwrap_err();
        assert!(
            matches!(
                refused,
                RewindError::TooFar {
                    oldest: Some((11, _))
                }
            ),
            "{refused}"
        );
        assert!(refused.to_string().contains("--to-seq 11"), "{refused}");
    }
    let none = controls
        .rewind_outlook(RewindTo::Time(chrono::Utc::now()))
        .await
        .unwrap();
    assert_eq!((none.from_seq, none.messages), (None, 0));
    let outlook = controls
        .rewind(RewindTo::Seq(11), &because("as far as it goes"))
        .await
        .unwrap();
    assert_eq!(
        (outlook.from_seq, outlook.messages, outlook.missing),
        (Some(11), 10, 0)
    );
    // What is to be sent again cannot be deleted before it is.
    let deleted = sqlx::query("DELETE FROM outbox_messages WHERE seq = 15")
        .execute(&scene.database.pool)
        .await;
    assert!(deleted.is_err());
    scene.relay().drain(CancellationToken::new()).await.unwrap();
    assert_eq!(scene.broker.ids(), [&ids[..], &ids[10..]].concat());
}
