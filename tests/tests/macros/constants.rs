//! Topics, keys and headers from constants, and keys from several fields.

use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::Catalog;
use serde::Serialize;

const TOPIC: &str = "constants.shop.orders";
const KIND: &str = "batch";

#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = TOPIC,
    aggregate = "order",
    key = (region, id),
    headers("x-kind" = KIND, "x-package" = env!("CARGO_PKG_NAME"), "x-own" = Self::OWN, "x-all" = concat!("a", 1)),
)]
struct ConstantPlacedV1 {
    region: String,
    id: u64,
}

impl ConstantPlacedV1 {
    const OWN: &'static str = "own";
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = Self::TOPIC, aggregate = "order", key = format!("{}-{id}", region))]
struct ConstantMovedV1 {
    region: String,
    id: u64,
}

impl ConstantMovedV1 {
    const TOPIC: &'static str = "constants.moved";
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = concat!("constants", ".", "all"), aggregate = "order", key = Self::KEY)]
struct ConstantAllV1 {
    region: String,
}

impl ConstantAllV1 {
    const KEY: &'static str = "all";
}

#[test]
fn their_values_are_sent_and_shown() {
    let (region, id) = ("eu".to_owned(), 7);
    let placed = ConstantPlacedV1 { region, id };
    assert_eq!((&*placed.topic(), &*placed.key()), (TOPIC, "eu:7"));
    let values: Vec<_> = placed.headers().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["batch", "outbox-tests", "own", "a1"]);
    let (region, id) = ("eu".to_owned(), 7);
    assert_eq!(ConstantMovedV1 { region, id }.key(), "eu-7");
    let region = String::new();
    assert_eq!(ConstantAllV1 { region }.key(), "all");

    let catalog = |event| {
        let event = Catalog::global().get(event, 1).unwrap();
        (event.topic(), event.key())
    };
    assert_eq!(catalog("ConstantPlacedV1"), (TOPIC, "(region, id)"));
    assert_eq!(catalog("ConstantMovedV1").0, "constants.moved");
    assert_eq!(catalog("ConstantAllV1"), ("constants.all", "Self::KEY"));
}

#[derive(Serialize)]
struct Inner(u8);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "constants.{0.0}", aggregate = "order", key = 0.0)]
struct NestedV1(Inner);

#[derive(Serialize)]
struct Order {
    r#type: &'static str,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "constants.{order.type}.{id}", aggregate = "order", key = id, headers("x" = more), correlation_id = id)]
struct GenericV1<T> {
    order: Order,
    id: T,
    more: Option<T>,
}

#[test]
fn fields_of_fields_and_of_any_type() {
    let nested = NestedV1(Inner(3));
    assert_eq!((&*nested.topic(), &*nested.key()), ("constants.3", "3"));
    let generic = GenericV1 {
        order: Order { r#type: "new" },
        id: 9,
        more: None,
    };
    assert_eq!(&*generic.topic(), "constants.new.9");
    assert!(generic.headers().is_empty());
}

macro_rules! event {
    ($name:ident, $topic:literal, $key:ident, $ty:ty, $header:literal, $value:expr) => {
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = $topic, aggregate = $topic, key = $key, headers($header = $value, "y" = $header))]
        struct $name {
            $key: $ty,
        }
    };
}
event!(FragmentsV1, "constants.fragments", id, u64, "x", self.id + 1);

#[test]
fn through_a_macro() {
    let headers = [("x", "4"), ("y", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(FragmentsV1 { id: 3 }.headers(), headers);
}

#[deny(deprecated)]
mod deprecated {
    /// No warning where it is declared; the compiler warns where it is emitted.
    #[deprecated = "use another"]
    #[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
    #[outbox(topic = "constants.deprecated", aggregate = "a", key = id)]
    pub(crate) struct DeprecatedV1 {
        pub(crate) id: u8,
    }
}
