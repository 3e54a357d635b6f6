//! The derive on structs.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, Utc};
use outbox_runtime::{OutboxEvent, Payload};
use serde::Serialize;
use uuid::Uuid;

fn json(event: &impl OutboxEvent) -> String {
    match event.payload().unwrap() {
        Payload::Json(text) => text,
        other => panic!("{other:?}"),
    }
}

fn pairs(event: &impl OutboxEvent) -> Vec<(String, String)> {
    event.headers()
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "huleedu.file.essay.content.provisioned.v1", aggregate = "file_upload", key = file_upload_id)]
struct EssayContentProvisionedV1 {
    file_upload_id: Uuid,
}

#[test]
fn the_least_that_has_to_be_said() {
    let event = EssayContentProvisionedV1 {
        file_upload_id: Uuid::from_u128(1),
    };
    assert_eq!(event.topic(), "huleedu.file.essay.content.provisioned.v1");
    assert_eq!(event.aggregate_type(), "file_upload");
    assert_eq!(event.key(), "00000000-0000-0000-0000-000000000001");
    assert_eq!(
        (event.event_type().as_ref(), event.version()),
        ("EssayContentProvisionedV1", 1)
    );
    assert_eq!(event.content_type(), "application/json");
    assert_eq!(
        json(&event),
        r#"{"file_upload_id":"00000000-0000-0000-0000-000000000001"}"#
    );
    assert_eq!(
        (event.source(), event.occurred_at(), event.correlation_id()),
        (None, None, None)
    );
    assert!(event.headers().is_empty());
    assert!(matches!(event.topic(), Cow::Borrowed(_)));
}

#[derive(Serialize)]
struct Order {
    customer_id: u32,
    region: String,
}

impl Order {
    fn tenant(&self) -> &str {
        &self.region
    }
}

#[derive(Serialize, OutboxEvent)]
#[serde(rename_all = "camelCase")]
#[outbox(topic = "shop.{order.region}.orders-{shard}", aggregate = "order", key = order.customer_id)]
#[outbox(
    event_type = "order.moved",
    version = 7,
    source = "/shop",
    content_type = "application/vnd.shop+json"
)]
#[outbox(
    occurred_at = moved_at,
    correlation_id = request,
    headers("x-tenant" = order.tenant(), "x-kind" = "batch", "x-note" = note, "x-shard" = 3, "x-own" = self.own()),
)]
struct OrderMovedV2 {
    order: Order,
    shard: u8,
    moved_at: DateTime<FixedOffset>,
    request: Option<Uuid>,
    #[serde(skip)]
    note: Option<&'static str>,
}

impl OrderMovedV2 {
    fn own(&self) -> String {
        format!("{}!", self.shard)
    }
}

#[test]
fn all_that_can_be_said() {
    let moved_at = DateTime::parse_from_rfc3339("2024-01-02T03:04:05+02:00").unwrap();
    let order = Order {
        customer_id: 12,
        region: "eu".to_owned(),
    };
    let mut event = OrderMovedV2 {
        order,
        shard: 3,
        moved_at,
        request: Some(Uuid::nil()),
        note: None,
    };
    assert_eq!(event.topic(), "shop.eu.orders-3");
    assert_eq!(event.key(), "12");
    assert_eq!((event.event_type().as_ref(), event.version()), ("order.moved", 7));
    assert_eq!(event.source().as_deref(), Some("/shop"));
    assert_eq!(event.content_type(), "application/vnd.shop+json");
    assert_eq!(event.occurred_at(), Some(moved_at.with_timezone(&Utc)));
    assert_eq!(event.correlation_id(), Some(Uuid::nil().to_string()));
    assert_eq!(
        json(&event),
        r#"{"order":{"customer_id":12,"region":"eu"},"shard":3,"movedAt":"2024-01-02T03:04:05+02:00","request":"00000000-0000-0000-0000-000000000000"}"#
    );
    let expected = [
        ("x-tenant", "eu"),
        ("x-kind", "batch"),
        ("x-shard", "3"),
        ("x-own", "3!"),
    ];
    assert_eq!(
        pairs(&event),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    (event.request, event.note) = (None, Some("hi"));
    assert_eq!(event.correlation_id(), None);
    assert!(pairs(&event).contains(&("x-note".to_owned(), "hi".to_owned())));
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t.{1}", aggregate = "a", key = 0, headers("x" = self.1))]
struct TupleV3(u64, &'static str);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = self.0.0)]
struct NestedTuple((u8, u8));

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = self.key_text(), version = 4)]
struct Unit;

impl Unit {
    fn key_text(&self) -> &'static str {
        "unit"
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = format!("{}-{}", self.r#type, self.b))]
struct Composed {
    r#type: u8,
    b: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t.{type}", aggregate = "a", key = r#type)]
struct Raw {
    r#type: u8,
}

#[test]
fn fields_without_names_and_keys_that_are_made() {
    let event = TupleV3(9, "x");
    assert_eq!(
        (event.key(), event.topic().into_owned(), event.version()),
        ("9".into(), "t.x".into(), 3)
    );
    assert_eq!(pairs(&event), [("x".to_owned(), "x".to_owned())]);
    assert_eq!(json(&event), r#"[9,"x"]"#);
    assert_eq!(NestedTuple((1, 2)).key(), "1");
    assert_eq!(
        (Unit.key().as_str(), Unit.version(), json(&Unit).as_str()),
        ("unit", 4, "null")
    );
    assert_eq!(Composed { r#type: 1, b: 2 }.key(), "1-2");
    let raw = Raw { r#type: 5 };
    assert_eq!(
        (raw.key(), raw.topic().into_owned()),
        ("5".to_owned(), "t.5".to_owned())
    );
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, correlation_id = cause)]
struct Envelope<'a, K, T: Clone, const N: usize = 2>
where
    T: PartialEq,
    K: Display,
{
    id: K,
    body: &'a [T],
    cause: Option<&'a str>,
    #[serde(skip)]
    _marker: [(); N],
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id)]
struct Unbounded<K, T> {
    id: K,
    body: T,
}

#[test]
fn generics_and_lifetimes() {
    let event = Envelope {
        id: 5,
        body: &["a", "b"],
        cause: Some("c"),
        _marker: [(), ()],
    };
    assert_eq!(
        (event.key().as_str(), event.correlation_id().as_deref()),
        ("5", Some("c"))
    );
    assert_eq!(json(&event), r#"{"id":5,"body":["a","b"],"cause":"c"}"#);
    fn emitted<E: OutboxEvent>(event: E) -> String {
        event.key()
    }
    assert_eq!(
        emitted(Unbounded {
            id: "k",
            body: vec![1.5]
        }),
        "k"
    );
    assert_eq!(
        emitted(&Unbounded {
            id: Cow::Borrowed("k"),
            body: ()
        }),
        "k"
    );
    let boxed: Vec<Box<dyn OutboxEvent>> = vec![Box::new(Unit), Box::new(TupleV3(1, "y"))];
    assert_eq!(boxed.into_iter().map(emitted).collect::<Vec<_>>(), ["unit", "1"]);
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "t", aggregate = "a", key = id, occurred_at = at)]
struct At<T> {
    id: u8,
    #[serde(skip)]
    #[allow(dead_code)]
    more: T,
    at: Option<SystemTime>,
}

#[test]
fn times_of_several_sorts() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(5);
    let time = |at| At { id: 1, more: (), at }.occurred_at();
    assert_eq!(time(Some(at)), DateTime::from_timestamp_millis(5));
    assert_eq!(time(None), None);
}

mod inner {
    use super::{OutboxEvent, Serialize};

    #[derive(Serialize, OutboxEvent)]
    #[outbox(topic = "t", aggregate = "a", key = key)]
    pub(super) struct Private {
        key: u8,
    }

    pub(super) fn private() -> Private {
        Private { key: 3 }
    }
}

#[test]
fn private_fields_will_do() {
    assert_eq!(inner::private().key(), "3");
}
