//! What mode `direct` sends, and what it loses.

use std::collections::HashSet;
use std::time::Duration;

use outbox_runtime::modes::{Mode, ModeScope, Modes};
use outbox_runtime::publisher::PublishErrorKind;
use outbox_runtime::{Error, KafkaPublisher, Outbox, OutboxMessage, Payload, PostgresStore, Relay};
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::{servers, wait_until};
use tokio_util::sync::CancellationToken;

use crate::scene::{LIMIT, Scene, emit, emit_with_an_old_snapshot, message};

fn topic(name: &str) -> ModeScope {
    ModeScope::Topic(name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_narrowest_scope_decides_and_a_mode_that_is_taken_back_does_not() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    let mut ids = HashSet::new();
    let mut in_log = async || {
        let before = scene.rows_of("orders").await;
        let message = message("orders", "a");
        let id = message.id();
        ids.insert(id);
        emit(&outbox, &[message]).await.unwrap();
        let in_log = scene.rows_of("orders").await > before;
        assert!(
            in_log || scene.sent_to("orders").contains(&id),
            "it is in neither place"
        );
        in_log
    };
    assert!(in_log().await, "the default");
    // Nothing is in the way of a switch: what waits is delivered.
    let relay = scene.relay();
    let of_type = || ModeScope::EventType("OrderPlacedV1".to_owned());
    for (scope, mode, expected) in [
        (ModeScope::Log, Some(Mode::Direct), false),
        (ModeScope::Aggregate("order".to_owned()), Some(Mode::Outbox), true),
        (topic("orders"), Some(Mode::Direct), false),
        (of_type(), Some(Mode::Outbox), true),
        (of_type(), None, false),
        (topic("others"), Some(Mode::Outbox), false),
        (topic("orders"), None, true),
        (ModeScope::Aggregate("order".to_owned()), None, false),
    ] {
        assert!(scene.set(scope.clone(), mode).await.unwrap(), "{scope} {mode:?}");
        assert_eq!(in_log().await, expected, "{scope} {mode:?}");
    }
    // What was in the log was not sent directly as well.
    wait_until("all to be sent", LIMIT, async || {
        (scene.sent_to("orders").len() >= ids.len()).then_some(())
    })
    .await;
    relay.stop().await.unwrap();
    let sent = scene.sent_to("orders");
    assert_eq!(sent.len(), ids.len(), "each once");
    assert_eq!(HashSet::from_iter(sent), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_is_not_sent_and_what_is_committed_is_in_one_place() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    scene.set(topic("orders"), Some(Mode::Direct)).await.unwrap();
    let rolled_back = outbox
        .transaction(async |tx| {
            tx.emit_message(message("orders", "a"))?;
            Err::<(), _>(anyhow::anyhow!("by choice"))
        })
        .await;
    assert!(rolled_back.is_err());
    // A transaction that fails to commit.
    let failed = outbox
        .transaction(async |tx| {
            sqlx::raw_sql(
                "CREATE TABLE parent (id int PRIMARY KEY);
                 CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (1)",
            )
            .execute(&mut **tx)
            .await?;
            tx.emit_message(message("orders", "a"))?;
            Ok::<_, anyhow::Error>(())
        })
        .await;
    assert!(failed.is_err());
    let (direct, through_the_log) = (message("orders", "a"), message("invoices", "a"));
    emit(&outbox, &[direct.clone(), through_the_log]).await.unwrap();
    assert_eq!(scene.broker.ids(), [direct.id()]);
    assert_eq!(scene.count("outbox_messages").await, 1);
    assert_eq!(scene.rows_of("invoices").await, 1);
    // No lock of any of them is left; looking for changes takes one briefly.
    let held = "pg_locks WHERE locktype = 'advisory' AND classid = 'outbox_modes'::regclass
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("all locks to be free", LIMIT, async || {
        (scene.count(held).await == 0).then_some(())
    })
    .await;
}

/// The replica knows nothing of the change before its transaction, whose snapshot is of before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_sees_the_mode_of_its_commit_whatever_its_snapshot_is() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    let first = message("orders", "a");
    emit_with_an_old_snapshot(&outbox, first.clone(), async || {
        scene.set(topic("orders"), Some(Mode::Direct)).await.unwrap();
    })
    .await;
    assert_eq!(scene.broker.ids(), [first.id()]);
    emit_with_an_old_snapshot(&outbox, message("orders", "a"), async || {
        scene.set(topic("orders"), Some(Mode::Outbox)).await.unwrap();
    })
    .await;
    assert_eq!(scene.rows_of("orders").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_lost_and_the_caller_goes_on() {
    let scene = Scene::new().await;
    let outbox = scene.outbox_with(|modes| modes.give_up_after(Duration::from_millis(300)));
    scene.set(topic("orders"), Some(Mode::Direct)).await.unwrap();
    let messages = ["a", "b", "c"].map(|key| message("orders", key));
    scene
        .broker
        .fail(messages[1].id(), PublishErrorKind::Record("too_large"));
    emit(&outbox, &messages).await.unwrap();
    assert_eq!(scene.broker.ids(), [messages[0].id(), messages[2].id()]);
    // A broker that never answers: the call returns, and the locks are free again.
    scene.broker.hold();
    emit(&outbox, &[message("orders", "a")]).await.unwrap();
    scene.broker.release();
    assert!(scene.set(topic("orders"), Some(Mode::Outbox)).await.unwrap());
}

/// Events of one key that wait for each other, from two replicas.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_until_the_one_before_it_has_arrived() {
    let scene = Scene::new().await;
    scene.set(topic("orders"), Some(Mode::Direct)).await.unwrap();
    let (one, two) = (scene.outbox(), scene.outbox());
    let (first, second) = (message("orders", "a"), message("orders", "a"));
    scene.broker.hold();
    let sending = tokio::spawn({
        let first = first.clone();
        async move { emit(&one, &[first]).await }
    });
    wait_until("the first to be sent", LIMIT, async || {
        (scene.broker.waiting() == 1).then_some(())
    })
    .await;
    let following = tokio::spawn({
        let second = second.clone();
        async move { emit(&two, &[second]).await }
    });
    let waits = "pg_locks WHERE locktype = 'advisory' AND classid = 'outbox_modes'::regclass AND NOT granted";
    wait_until("the second to wait", LIMIT, async || {
        (scene.count(waits).await == 1).then_some(())
    })
    .await;
    assert_eq!(scene.broker.waiting(), 1);
    scene.broker.release();
    sending.await.unwrap().unwrap();
    following.await.unwrap().unwrap();
    assert_eq!(scene.broker.ids(), [first.id(), second.id()]);
}

fn without_id(record: &ReadRecord) -> ReadRecord {
    let mut record = record.clone();
    record.offset = 0;
    record.headers.retain(|(name, _)| name != "ce_id");
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_the_same_whichever_way_it_came() {
    let scene = Scene::new().await;
    let kafka = Topic::create("same", 3).await;
    let publisher = || KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let outbox = Outbox::builder(scene.pool().clone())
        .modes(Modes::new(publisher()))
        .build();
    let at = chrono::Utc::now();
    let events = |id: u128| {
        let make = |number: u128, payload: Payload| {
            OutboxMessage::builder(kafka.name(), "key-ö")
                .aggregate_type("order")
                .event_type("OrderPlacedV1")
                .payload(payload)
                .correlation_id("c-1")
                .header("x-tenant", "a\"ü")
                .header("b", "1")
                .header("aa", "2")
                .header("a", "3")
                .occurred_at(at)
                .build()
                .with_id(uuid::Uuid::from_u128(id + number))
        };
        [
            make(0, Payload::Json("{ \"b\":1, \"a\" : [1.50, \"ü\"] }".to_owned())),
            make(1, Payload::Binary(vec![0, 255, 7])),
            make(2, Payload::Tombstone),
        ]
    };
    emit(&outbox, &events(0)).await.unwrap();
    Relay::builder(PostgresStore::new(scene.pool()), publisher())
        .build()
        .unwrap()
        .drain(CancellationToken::new())
        .await
        .unwrap();
    scene.set(topic(kafka.name()), Some(Mode::Direct)).await.unwrap();
    emit(&outbox, &events(10)).await.unwrap();
    assert_eq!(scene.count("outbox_messages").await, 3);
    let records = kafka.read_all().await;
    assert_eq!(records.len(), 6);
    for (through_the_log, direct) in records[..3].iter().zip(&records[3..]) {
        assert_eq!(without_id(through_the_log), without_id(direct));
        assert_ne!(through_the_log.event_id(), direct.event_id());
    }
}

/// A caller that does not wait any more: what it has committed is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_waits_for_is_sent_and_unlocked() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    scene.set(topic("orders"), Some(Mode::Direct)).await.unwrap();
    scene.broker.hold();
    let sent = message("orders", "a");
    let mut call = Box::pin(async {
        outbox
            .transaction(async |tx| {
                tx.emit_message(sent.clone())?;
                Ok::<_, Error>(())
            })
            .await
    });
    tokio::select! {
        _ = &mut call => panic!("the broker does not answer"),
        () = wait_until("it to be sent", LIMIT, async || (scene.broker.waiting() == 1).then_some(())) => {}
    }
    drop(call);
    scene.broker.release();
    assert!(scene.set(topic("orders"), Some(Mode::Outbox)).await.unwrap());
    assert_eq!(scene.broker.ids(), [sent.id()]);
}
