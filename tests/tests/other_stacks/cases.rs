//! What holds for each stack.

use std::panic::AssertUnwindSafe;

use chrono::{TimeZone, Utc};
use futures_util::FutureExt;
use outbox_runtime::{
    ErrorChain, ErrorKind, EventContext, Outbox, OutboxMessage, Payload, RelayConfig, Tables, migrate,
};
use sqlx::{AssertSqlSafe, Row};

use crate::scene::{End, LIMIT, OrderPlacedV1, Scene, ShopError, Stack, What};

/// Each case as a test of a stack.
macro_rules! cases {
    ($stack:ty: $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                crate::cases::$case::<$stack>().await;
            }
        )*
    };
}
pub(crate) use cases;

fn message(key: &str, payload: Payload) -> outbox_runtime::OutboxMessageBuilder {
    OutboxMessage::builder("shop.order.placed.v1", key)
        .event_type("OrderPlacedV1")
        .aggregate_type("order")
        .payload(payload)
}

/// Messages that are easily stored differently.
fn odd_messages() -> Vec<OutboxMessage> {
    let json = |text: &str| Payload::Json(text.to_owned());
    vec![
        message("plain", json(r#"{"order_id":7}"#)).build(),
        message(
            "kept as it is",
            json("{ \"b\": 1.0e2,\n\t\"a\" : [ ] , \"b\":2 }"),
        )
        .build(),
        message(
            "'\"\\; DROP TABLE orders; -- $1 ?",
            json("\"\\u0000 \\ud83d\\ude00 😀 ' \\\\ $1\""),
        )
        .build(),
        message("bytes", Payload::Binary((0..=255).collect()))
            .content_type("application/octet-stream")
            .build(),
        message("no bytes", Payload::Binary(Vec::new())).build(),
        message("tombstone", Payload::Tombstone).build(),
        message("headers", json("null"))
            .source("/shop")
            .correlation_id("c-1")
            .header("x-b", "ü\"\\")
            .header("x-a", "")
            .build(),
        message("microseconds", json("[]"))
            .occurred_at(Utc.timestamp_nanos(1_700_000_000_123_456_789))
            .build(),
        message("early", json("[]"))
            .occurred_at(Utc.timestamp_opt(1, 0).unwrap())
            .build(),
        message("late", json("[]"))
            .occurred_at(Utc.with_ymd_and_hms(9999, 12, 31, 23, 59, 59).unwrap())
            .build(),
        message("large", json(&format!("\"{}\"", "x".repeat(900_000)))).build(),
    ]
}

/// All that a row says, but its place.
const ROW: &str = "ROW(id, aggregate_type, aggregate_id, event_type, topic, payload::text, payload_binary, content_type, \
                   source, headers, occurred_at)::text";

pub(crate) async fn rows_and_records_are_those_of_sqlx<S: Stack>() {
    // GIVEN each message, written by sqlx and by the stack
    let scene = Scene::new().await;
    let outbox = Outbox::new(scene.pool().clone());
    let mut stack: S = scene.stack().await;
    let messages = odd_messages();
    for (order, message) in (1..).zip(&messages) {
        let mut tx = outbox.pool().begin().await.unwrap();
        outbox
            .enqueue_message(&mut tx, message.clone())
            .await
            .unwrap()
            .wake();
        tx.commit().await.unwrap();
        stack
            .place(order, What::message(message.clone()), End::Commit)
            .await
            .unwrap();
    }

    // THEN the rows are equal
    let sql = format!(
        "SELECT aggregate_id, count(*), count(DISTINCT {ROW}) FROM outbox_messages GROUP BY aggregate_id"
    );
    let groups = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(scene.pool())
        .await
        .unwrap();
    assert_eq!(groups.len(), messages.len());
    for group in groups {
        let (rows, different): (i64, i64) = (group.get(1), group.get(2));
        assert_eq!((rows, different), (2, 1), "{}", group.get::<String, _>(0));
    }

    // AND so are the records
    let relay = scene.relay(RelayConfig::new());
    let records = scene.records(2 * messages.len()).await;
    for message in &messages {
        let of_message: Vec<_> = records
            .iter()
            .filter(|record| record.id == message.id())
            .collect();
        assert_eq!(of_message.len(), 2, "{}", message.key());
        assert_eq!(of_message[0], of_message[1]);
        let value = match message.payload() {
            Payload::Json(text) => Some(text.as_bytes()),
            Payload::Binary(bytes) => Some(bytes.as_slice()),
            _ => None,
        };
        assert_eq!(of_message[1].value.as_deref(), value);
    }
    relay.stop().await.unwrap();
}

pub(crate) async fn an_event_carries_its_context<S: Stack>() {
    let scene = Scene::new().await;
    let outbox = Outbox::new(scene.pool().clone());
    let mut stack: S = scene.stack().await;
    let context = EventContext::new().correlation_id("c-7").trace(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Some("v=1"),
    );
    EventContext::scope(context, async {
        let mut tx = outbox.pool().begin().await.unwrap();
        let event = OrderPlacedV1 { order_id: 7 };
        outbox.enqueue(&mut tx, event).await.unwrap().wake();
        tx.commit().await.unwrap();
        stack.place(7, What::Event, End::Commit).await.unwrap();
    })
    .await;
    let rows = sqlx::query_scalar(
        "SELECT ROW(aggregate_type, aggregate_id, event_type, topic, payload::text, content_type, source)::text || headers
         FROM outbox_messages WHERE substr(id::text, 15, 1) = '7' AND abs(extract(epoch FROM now() - occurred_at)) < 300",
    );
    let rows: Vec<String> = rows.fetch_all(scene.pool()).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], rows[1]);
    assert!(
        rows[1].contains("c-7")
            && rows[1].contains("4bf92f3577b34da6a3ce929d0e0e4736")
            && rows[1].contains("v=1"),
        "{}",
        rows[1]
    );
}

pub(crate) async fn a_rollback_leaves_nothing<S: Stack>() {
    let scene = Scene::new().await;
    let mut stack: S = scene.stack().await;
    for what in [What::Event, What::Events(3)] {
        stack.place(1, what, End::Rollback).await.unwrap();
        assert_eq!(scene.orders_and_messages().await, (0, 0));
    }
    // The statement of an order that cannot be there fails, and so does the transaction.
    stack.place(-1, What::Event, End::Commit).await.unwrap_err();
    assert_eq!(scene.orders_and_messages().await, (0, 0));
    stack.place(1, What::Event, End::Commit).await.unwrap();
    assert_eq!(scene.orders_and_messages().await, (1, 1));
}

pub(crate) async fn a_panic_leaves_nothing<S: Stack>() {
    let scene = Scene::new().await;
    let mut stack: S = scene.stack().await;
    let ended = AssertUnwindSafe(stack.place(1, What::Event, End::Panic))
        .catch_unwind()
        .await;
    assert!(ended.is_err(), "it panicked");
    drop(stack);
    assert_eq!(scene.orders_and_messages().await, (0, 0));
}

pub(crate) async fn many_events_keep_their_order<S: Stack>() {
    let scene = Scene::new().await;
    let mut stack: S = scene.stack().await;
    stack.place(1, What::Events(0), End::Commit).await.unwrap();
    stack.place(2, What::Events(2_100), End::Commit).await.unwrap();
    assert_eq!(scene.orders_and_messages().await, (2, 2_100));
    // Ids of version 7 ascend within a process.
    let ids = sqlx::query_scalar("SELECT id FROM outbox_messages ORDER BY seq");
    let ids: Vec<uuid::Uuid> = ids.fetch_all(scene.pool()).await.unwrap();
    assert!(ids.is_sorted());
    assert_eq!(
        scene.count("(SELECT DISTINCT xid FROM outbox_messages) x").await,
        1
    );
}

pub(crate) async fn a_commit_wakes_the_relay<S: Stack>() {
    let scene = Scene::new().await;
    let mut stack: S = scene.stack().await;
    // Polling alone would not look again before the test has failed.
    let relay = scene.relay(RelayConfig::new().poll_min(LIMIT * 10).poll_max(LIMIT * 10));
    for round in 1..=5 {
        let order = i64::try_from(round).unwrap();
        stack.place(order, What::Event, End::Commit).await.unwrap();
        let records = scene.records(round).await;
        assert_eq!(records[round - 1].key, order.to_string());
    }
    relay.stop().await.unwrap();
}

pub(crate) async fn a_wrong_message_is_refused_before_anything_is_written<S: Stack>() {
    let scene = Scene::new().await;
    let mut stack: S = scene.stack().await;
    let wrong = [
        (message("", Payload::Tombstone), ErrorKind::EmptyKey),
        (message("k", Payload::Json("{".to_owned())), ErrorKind::Payload),
        (
            message("k", Payload::Tombstone).header("ce_id", "1"),
            ErrorKind::InvalidHeader,
        ),
        (
            message("k", Payload::Tombstone).source("a\0"),
            ErrorKind::InvalidText,
        ),
    ];
    for (order, (message, kind)) in (1..).zip(wrong) {
        let refused = stack
            .place(order, What::message(message.build()), End::CommitAnyway)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), kind);
        // No statement has failed, or PostgreSQL would not have committed the order.
        assert_eq!(scene.orders_and_messages().await, (order, 0));
    }
}

pub(crate) async fn tables_may_have_other_names<S: Stack>() {
    let scene = Scene::new().await;
    scene.run("CREATE SCHEMA app").await;
    let tables = Tables::new(Some("app"), "shop_").unwrap();
    migrate(scene.pool(), &tables).await.unwrap();
    let mut stack = S::open(&scene.database.url(), tables, scene.waker.clone()).await;
    stack.place(1, What::Event, End::Commit).await.unwrap();
    stack.place(2, What::Events(2), End::Commit).await.unwrap();
    assert_eq!(scene.orders_and_messages().await, (2, 0));
    assert_eq!(scene.count("app.shop_messages").await, 3);
}

pub(crate) async fn an_error_says_what_to_do<S: Stack>() {
    let scene = Scene::new().await;
    // GIVEN a trigger that leaves out each second row of a statement
    scene
        .run(
            "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RETURN CASE WHEN NEW.aggregate_id <> '13' THEN NEW END; END $$;
             CREATE TRIGGER leave_out BEFORE INSERT ON outbox_messages FOR EACH ROW EXECUTE FUNCTION leave_out()",
        )
        .await;
    let mut stack: S = scene.stack().await;
    for what in [What::Event, What::Events(3)] {
        let refused = stack.place(13, what, End::Commit).await.unwrap_err();
        assert!(
            told(&refused).contains("a trigger before INSERT"),
            "{}",
            told(&refused)
        );
    }
    assert_eq!(scene.orders_and_messages().await, (0, 0));

    // AND tables that are not there, or of another version
    for (sql, advice) in [
        (
            "ALTER TABLE outbox_messages RENAME COLUMN source TO origin",
            "have another version than this program: run `outbox migrate",
        ),
        (
            "ALTER TABLE outbox_messages RENAME TO gone",
            "are not in this database",
        ),
    ] {
        scene.run(sql).await;
        let mut stack: S = scene.stack().await;
        let refused = stack.place(1, What::Event, End::Commit).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Database);
        assert!(told(&refused).contains(advice), "{}", told(&refused));
        assert_eq!(scene.count("orders").await, 0);
    }
}

fn told(error: &ShopError) -> String {
    ErrorChain::new(error).to_string()
}
