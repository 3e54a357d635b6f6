//! The derive on enums.

use chrono::{DateTime, Utc};
use outbox_runtime::{BoxError, OutboxEvent, Payload};
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "files.batch.file.removed.v1", aggregate = "batch", key = batch_id)]
struct BatchFileRemovedV1 {
    batch_id: String,
}

/// Not JSON, by hand.
struct Snapshot(Vec<u8>);

impl OutboxEvent for Snapshot {
    fn event_type(&self) -> std::borrow::Cow<'static, str> {
        "SnapshotV9".into()
    }
    fn topic(&self) -> std::borrow::Cow<'_, str> {
        "snapshots".into()
    }
    fn aggregate_type(&self) -> std::borrow::Cow<'static, str> {
        "snapshot".into()
    }
    fn key(&self) -> String {
        "all".into()
    }
    fn payload(&self) -> Result<Payload, BoxError> {
        Ok(Payload::Binary(self.0.clone()))
    }
}

#[derive(Serialize, OutboxEvent)]
#[serde(tag = "type")]
enum FileEvent<'a> {
    #[outbox(topic = "files.added.{batch_id}", aggregate = "file", key = file_id, headers("x-size" = size))]
    FileAddedV2 {
        batch_id: &'a str,
        file_id: u32,
        size: Option<u64>,
    },
    #[outbox(topic = "files.cleared", aggregate = "batch", key = self.everything(), event_type = "files.cleared")]
    Cleared,
    #[outbox(transparent)]
    Removed(BatchFileRemovedV1),
}

impl FileEvent<'_> {
    fn everything(&self) -> &'static str {
        "everything"
    }
}

fn json(event: &impl OutboxEvent) -> String {
    match event.payload().unwrap() {
        Payload::Json(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_variant_has_a_route() {
    let added = FileEvent::FileAddedV2 {
        batch_id: "b",
        file_id: 4,
        size: Some(10),
    };
    assert_eq!((added.event_type().as_ref(), added.version()), ("FileAddedV2", 2));
    assert_eq!(
        (added.topic().as_ref(), added.key().as_str()),
        ("files.added.b", "4")
    );
    assert_eq!(added.headers(), [("x-size".to_owned(), "10".to_owned())]);
    assert_eq!(
        json(&added),
        r#"{"type":"FileAddedV2","batch_id":"b","file_id":4,"size":10}"#
    );

    let cleared = FileEvent::Cleared;
    assert_eq!(
        (cleared.event_type().as_ref(), cleared.version()),
        ("files.cleared", 1)
    );
    assert_eq!(
        (cleared.key().as_str(), json(&cleared).as_str()),
        ("everything", r#"{"type":"Cleared"}"#)
    );
}

#[test]
fn a_transparent_variant_is_what_it_holds() {
    let removed = FileEvent::Removed(BatchFileRemovedV1 { batch_id: "b".into() });
    assert_eq!(
        (removed.event_type().as_ref(), removed.version()),
        ("BatchFileRemovedV1", 1)
    );
    assert_eq!(
        (removed.topic().as_ref(), removed.aggregate_type().as_ref()),
        ("files.batch.file.removed.v1", "batch")
    );
    assert_eq!(json(&removed), r#"{"batch_id":"b"}"#);
}

/// No variant is written by serde here, so the enum needs no `Serialize`.
#[derive(OutboxEvent)]
enum Any<E, S = Snapshot> {
    #[outbox(transparent)]
    One(Box<E>),
    #[outbox(transparent)]
    Two { event: S },
}

#[test]
fn transparent_variants_hold_any_event() {
    let one: Any<_> = Any::One(Box::new(BatchFileRemovedV1 { batch_id: "b".into() }));
    assert_eq!(one.key(), "b");
    let two: Any<BatchFileRemovedV1> = Any::Two {
        event: Snapshot(vec![1]),
    };
    assert_eq!((two.key().as_str(), two.version()), ("all", 9));
    assert_eq!(two.payload().unwrap(), Payload::Binary(vec![1]));
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order_id, occurred_at = at, source = "/orders")]
enum OrderEvent {
    OrderPlacedV1 {
        order_id: u8,
        at: DateTime<Utc>,
    },
    #[outbox(topic = "orders.{reason}", headers("x-why" = reason))]
    OrderCancelledV1 {
        order_id: u8,
        reason: String,
        at: DateTime<Utc>,
    },
}

#[test]
fn what_the_enum_says_is_the_default() {
    let at = DateTime::UNIX_EPOCH;
    let placed = OrderEvent::OrderPlacedV1 { order_id: 1, at };
    let cancelled = OrderEvent::OrderCancelledV1 {
        order_id: 2,
        reason: "late".into(),
        at,
    };
    assert_eq!((placed.topic().as_ref(), placed.key().as_str()), ("orders", "1"));
    assert_eq!(
        (cancelled.topic().as_ref(), cancelled.key().as_str()),
        ("orders.late", "2")
    );
    assert_eq!(
        (cancelled.occurred_at(), cancelled.source().as_deref()),
        (Some(at), Some("/orders"))
    );
}
