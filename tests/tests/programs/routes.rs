//! Topics, headers, times and all other attributes, alone and together.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, Local, TimeZone, Utc};
use outbox_runtime::{OutboxEvent, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

fn payload(event: &impl OutboxEvent) -> Value {
    match event.payload().unwrap() {
        Payload::Json(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn headers(event: &impl OutboxEvent) -> Vec<String> {
    let line = |(name, value): (String, String)| format!("{name}={value}");
    event.headers().into_iter().map(line).collect()
}

mod names {
    pub(crate) const PREFIX: &str = "programs";
    pub(crate) static KIND: &str = "static";
    pub(crate) const LONG: &str = concat!("programs", ".", "long");
}

struct Topics;

impl Topics {
    const ORDERS: &'static str = "programs.orders";
}

trait HasTopic {
    const TOPIC: &'static str;
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = Topics::ORDERS, aggregate = "order", key = id)]
struct OfAnotherType {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = names::LONG, aggregate = "order", key = id, headers("x" = names::PREFIX, "y" = names::KIND))]
struct OfAModule {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = <Self as HasTopic>::TOPIC, aggregate = "order", key = id)]
struct OfATrait {
    id: u8,
}

impl HasTopic for OfATrait {
    const TOPIC: &'static str = "programs.trait";
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = crate::routes::names::LONG, aggregate = "order", key = id, headers("k" = self::names::KIND))]
struct OfThisCrate {
    id: u8,
}

#[test]
fn constants_of_anything() {
    assert_eq!(OfAnotherType { id: 1 }.topic(), "programs.orders");
    let event = OfAModule { id: 1 };
    assert_eq!(event.topic(), "programs.long");
    assert_eq!(headers(&event), ["x=programs", "y=static"]);
    assert_eq!(OfATrait { id: 1 }.topic(), "programs.trait");
    assert_eq!(OfThisCrate { id: 1 }.topic(), "programs.long");
    assert_eq!(headers(&OfThisCrate { id: 1 }), ["k=static"]);
}

/// Documented in
/// two lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[outbox(
    topic = "programs.{tenant}.all",
    aggregate = "thing",
    key = (tenant, thing_id),
    event_type = "thing.changed",
    version = 4,
    source = "/programs",
    content_type = "application/vnd.programs.thing+json; charset=utf-8",
    occurred_at = at,
    correlation_id = cause,
    headers(
        "x-tenant" = tenant,
        "x-number" = 3.5,
        "x-negative" = -1,
        "x-truth" = true,
        "x-letter" = 'c',
        "x-maybe" = note,
        "x-built" = format!("{tenant}/{thing_id}"),
        "x-build" = option_env!("THERE_IS_NO_SUCH_VARIABLE"),
        "x-line" = stringify!(a + b),
    ),
)]
struct Everything {
    /// Whose it is.
    tenant: String,
    thing_id: Uuid,
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Uuid>,
    note: Option<String>,
    #[serde(rename = "n")]
    number: i64,
}

#[test]
fn all_attributes_together() {
    let event = Everything {
        tenant: "acme".into(),
        thing_id: Uuid::nil(),
        at: Utc.timestamp_opt(1, 5).unwrap(),
        cause: None,
        note: None,
        number: -3,
    };
    let id = Uuid::nil();
    assert_eq!(event.topic(), "programs.acme.all");
    assert_eq!(event.key(), format!("acme:{id}"));
    assert_eq!((&*event.event_type(), event.version()), ("thing.changed", 4));
    assert_eq!(event.source().unwrap(), "/programs");
    assert_eq!(
        event.content_type(),
        "application/vnd.programs.thing+json; charset=utf-8"
    );
    assert_eq!(event.occurred_at(), Some(event.at));
    assert_eq!(event.correlation_id(), None);
    let expected = [
        "x-tenant=acme".to_owned(),
        "x-number=3.5".to_owned(),
        "x-negative=-1".to_owned(),
        "x-truth=true".to_owned(),
        "x-letter=c".to_owned(),
        format!("x-built=acme/{id}"),
        "x-line=a + b".to_owned(),
    ];
    assert_eq!(headers(&event), expected);
    let text = json!({"tenant": "acme", "thingId": id, "at": event.at, "note": null, "n": -3});
    assert_eq!(payload(&event), text);
}

/// An event for each kind of time.
macro_rules! timed {
    ($($name:ident: $ty:ty),*) => {$(
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = "programs.times", aggregate = "thing", key = id, occurred_at = at)]
        struct $name<'a> {
            id: &'a str,
            at: $ty,
        }
    )*};
}
timed!(
    InUtc: DateTime<Utc>, WithOffset: DateTime<FixedOffset>, Here: DateTime<Local>, OfTheSystem: SystemTime,
    Perhaps: Option<DateTime<Utc>>, Borrowed: &'a DateTime<Utc>,
    PerhapsBorrowed: Option<&'a DateTime<FixedOffset>>
);

#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = "programs.times",
    aggregate = "thing",
    key = id,
    occurred_at = DateTime::from_timestamp(seconds, 0),
    correlation_id = format!("request-{}", id)
)]
struct Computed {
    id: u8,
    seconds: i64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.times", aggregate = "thing", key = id, occurred_at = started + took)]
struct Added {
    id: u8,
    started: SystemTime,
    took: Duration,
}

#[test]
fn times_of_all_kinds() {
    let time = Utc.timestamp_opt(86_400, 0).unwrap();
    let offset = FixedOffset::east_opt(3600).unwrap();
    let id = "a";
    assert_eq!(InUtc { id, at: time }.occurred_at(), Some(time));
    let at = time.with_timezone(&offset);
    assert_eq!(WithOffset { id, at }.occurred_at(), Some(time));
    let at = Some(&at);
    assert_eq!(PerhapsBorrowed { id, at }.occurred_at(), Some(time));
    let at = time.with_timezone(&Local);
    assert_eq!(Here { id, at }.occurred_at(), Some(time));
    assert_eq!(OfTheSystem { id, at: time.into() }.occurred_at(), Some(time));
    assert_eq!(Perhaps { id, at: None }.occurred_at(), None);
    assert_eq!(Borrowed { id, at: &time }.occurred_at(), Some(time));
    let computed = Computed {
        id: 4,
        seconds: 86_400,
    };
    assert_eq!(computed.occurred_at(), Some(time));
    assert_eq!(computed.correlation_id().unwrap(), "request-4");
    let added = Added {
        id: 1,
        started: SystemTime::UNIX_EPOCH,
        took: Duration::from_secs(86_400),
    };
    assert_eq!(added.occurred_at(), Some(time));
}

#[derive(Serialize)]
struct Money {
    amount: u64,
    currency: &'static str,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.{price.currency}", aggregate = "sale", key = sale, headers("currency" = price.currency))]
struct Flat {
    sale: u8,
    #[serde(flatten)]
    price: Money,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
    #[serde(skip)]
    #[allow(dead_code)]
    cache: Option<Vec<u8>>,
    #[serde(serialize_with = "as_text", rename = "total")]
    sum: u64,
}

fn as_text<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[derive(Serialize, OutboxEvent)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
#[outbox(topic = "programs.tagged", aggregate = "thing", key = id)]
enum Tagged {
    FirstThing {
        id: u8,
    },
    #[serde(rename = "2nd")]
    SecondThing {
        id: u8,
        name: String,
    },
}

#[derive(Serialize, OutboxEvent)]
#[serde(untagged)]
#[outbox(topic = "programs.untagged", aggregate = "thing", key = 0)]
enum Untagged {
    Number(u8),
    Pair(String, u8),
}

#[derive(Serialize, OutboxEvent)]
#[serde(transparent)]
#[outbox(topic = "programs.transparent", aggregate = "thing", key = 0.sale)]
struct Wrapped(Sale);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.sales", aggregate = "thing", key = sale)]
struct Sale {
    sale: u8,
}

#[derive(Serialize, Clone, OutboxEvent)]
#[serde(into = "Other")]
#[outbox(topic = "programs.into", aggregate = "thing", key = id)]
struct Converted {
    id: u8,
}

#[derive(Serialize)]
struct Other {
    other: u8,
}

impl From<Converted> for Other {
    fn from(Converted { id }: Converted) -> Self {
        Self { other: id + 1 }
    }
}

#[test]
fn serde_decides_about_payloads() {
    let price = Money {
        amount: 5,
        currency: "EUR",
    };
    let more = BTreeMap::from([("x".to_owned(), json!(1))]);
    let flat = Flat {
        sale: 1,
        price,
        more,
        cache: None,
        sum: 9,
    };
    assert_eq!(flat.topic(), "programs.EUR");
    assert_eq!(headers(&flat), ["currency=EUR"]);
    assert_eq!(
        payload(&flat),
        json!({"sale": 1, "amount": 5, "currency": "EUR", "x": 1, "total": "9"})
    );
    let first = Tagged::FirstThing { id: 1 };
    assert_eq!(first.event_type(), "FirstThing");
    assert_eq!(payload(&first), json!({"kind": "first_thing", "data": {"id": 1}}));
    let second = Tagged::SecondThing {
        id: 2,
        name: String::new(),
    };
    assert_eq!(
        (&*second.key(), payload(&second)),
        ("2", json!({"kind": "2nd", "data": {"id": 2, "name": ""}}))
    );
    assert_eq!(payload(&Untagged::Number(3)), json!(3));
    assert_eq!(Untagged::Pair("a".into(), 1).key(), "a");
    let wrapped = Wrapped(Sale { sale: 6 });
    assert_eq!((&*wrapped.key(), payload(&wrapped)), ("6", json!({"sale": 6})));
    assert_eq!(payload(&Converted { id: 1 }), json!({"other": 2}));
}
