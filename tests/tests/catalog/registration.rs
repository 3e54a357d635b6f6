//! What a derive leaves in the program.

use chrono::{DateTime, Utc};
use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::{Catalog, EventDescription, FieldSource, HeaderDescription};
use serde::{Deserialize, Serialize};

/// An order was placed.
///
/// With all that an event can say.
#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = "shop.{ region }.{order.id}",
    aggregate = "order",
    key = order.id,
    source = "/shop",
    content_type = "application/vnd.shop.test+json",
    occurred_at = placed_at,
    correlation_id = self.cause(),
    headers("x-tenant" = tenant.as_str(), "x-kind" = "full", "x-number" = 7)
)]
pub(crate) struct FullV3<'a> {
    region: &'a str,
    order: Order,
    placed_at: DateTime<Utc>,
    tenant: String,
}

#[derive(Serialize)]
struct Order {
    id: u64,
}

impl FullV3<'_> {
    fn cause(&self) -> Option<String> {
        None
    }
}

fn described(event_type: &str) -> Vec<EventDescription> {
    Catalog::global()
        .by_type(event_type)
        .map(|event| event.describe())
        .collect()
}

#[test]
fn everything_that_a_derive_says_is_there() {
    let line = include_str!("registration.rs")
        .lines()
        .position(|line| line.contains("struct FullV3"));
    let [full] = &described("FullV3")[..] else {
        panic!("it is not there once")
    };
    assert_eq!(
        (full.version, full.topic.as_str()),
        (3, "shop.{region}.{order.id}")
    );
    assert_eq!(
        (full.aggregate.as_str(), full.key.as_str()),
        ("order", "order.id")
    );
    assert_eq!(full.content_type, "application/vnd.shop.test+json");
    assert_eq!(full.source.as_deref(), Some("/shop"));
    assert_eq!(full.occurred_at.as_deref(), Some("placed_at"));
    assert_eq!(full.correlation_id.as_deref(), Some("self.cause()"));
    let header = |name: &str, value| HeaderDescription {
        name: name.to_owned(),
        value,
    };
    assert_eq!(
        full.headers,
        [
            header("x-tenant", FieldSource::Field("tenant.as_str()".into())),
            header("x-kind", FieldSource::Literal("full".into())),
            header("x-number", FieldSource::Literal("7".into())),
        ]
    );
    assert_eq!(full.rust_type, "catalog::registration::FullV3");
    assert!(
        full.location.file.ends_with("tests/catalog/registration.rs"),
        "{}",
        full.location
    );
    assert_eq!(full.location.line as usize, line.unwrap() + 1);
    assert_eq!(
        full.doc,
        "An order was placed.\n\nWith all that an event can say."
    );
    assert_eq!(full.schema, None);
}

#[derive(Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "registration.moves", aggregate = "move", key = id)]
enum Moves {
    /// It went up.
    Up { id: u8 },
    #[outbox(event_type = "moves.down", version = 4, topic = "registration.down")]
    Down { id: u8 },
    #[outbox(transparent)]
    #[serde(skip)]
    Other(FellV1),
}

#[derive(Default, Serialize, OutboxEvent)]
#[outbox(topic = "registration.fell", aggregate = "fall", key = 0)]
struct FellV1(u8);

#[test]
fn each_variant_with_a_route_is_an_event_and_a_transparent_one_is_not_another() {
    let up = &described("Up")[0];
    assert_eq!(
        (up.rust_type.as_str(), up.doc.as_str()),
        ("catalog::registration::Moves::Up", "It went up.")
    );
    let down = &described("moves.down")[0];
    assert_eq!((down.version, down.topic.as_str()), (4, "registration.down"));
    assert!(down.location.line > up.location.line);
    assert_eq!(described("FellV1").len(), 1);
    assert!(described("Other").is_empty());
    let _ = (
        Moves::Up { id: 1 },
        Moves::Down { id: 1 },
        Moves::Other(FellV1(1)),
    );
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "registration.wrapped", aggregate = "a", key = id, instances(WrapperV1<u8>, WrapperV1<Vec<crate::registration::Order>>))]
struct WrapperV1<T> {
    id: u8,
    inner: T,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = "registration.named",
    aggregate = "a",
    key = id,
    instances("SmallV1" = Named<u8, 1>, "LargeV2" = Named<[u64; 2], 2>)
)]
struct Named<T, const N: usize> {
    id: u8,
    inner: T,
}

#[test]
fn a_generic_event_has_the_forms_that_it_names() {
    let types: Vec<_> = described("WrapperV1")
        .into_iter()
        .map(|event| event.rust_type)
        .collect();
    assert_eq!(
        types,
        [
            "catalog::registration::WrapperV1<Vec<crate::registration::Order>>",
            "catalog::registration::WrapperV1<u8>"
        ]
    );
    let small = Named::<u8, 1> { id: 1, inner: 2 };
    assert_eq!((small.event_type().as_ref(), small.version()), ("SmallV1", 1));
    let large = Named::<_, 2> { id: 1, inner: [2, 3] };
    assert_eq!((large.event_type().as_ref(), large.version()), ("LargeV2", 2));
    assert_eq!(
        described("LargeV2")[0].rust_type,
        "catalog::registration::Named<[u64; 2], 2>"
    );
    assert_eq!(described("LargeV2")[0].version, 2);
    assert!(described("Named").is_empty());
    let _ = WrapperV1 { id: 1, inner: 2 }.inner + small.inner;
}

macro_rules! made {
    ($name:ident, $key:ident) => {
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = "registration.made", aggregate = "made", key = $key)]
        struct $name {
            $key: u8,
        }
    };
}
made!(MadeByMacroV1, made_id);

#[test]
fn events_inside_of_macros_and_functions_are_there_too() {
    /// Nobody makes one.
    #[derive(Serialize, OutboxEvent)]
    #[outbox(topic = "registration.hidden", aggregate = "hidden", key = id)]
    struct HiddenV1 {
        id: u8,
    }
    let made = &described("MadeByMacroV1")[0];
    assert_eq!(
        (made.key.as_str(), made.rust_type.as_str()),
        ("made_id", "catalog::registration::MadeByMacroV1")
    );
    assert_eq!(described("HiddenV1").len(), 1);
    let _ = MadeByMacroV1 { made_id: 1 };
}
