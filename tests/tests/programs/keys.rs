//! Keys, in all the ways that people write them.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use outbox_runtime::OutboxEvent;
use serde::Serialize;
use uuid::Uuid;

/// An event for each line: its name, its fields, and its key.
macro_rules! keyed {
    ($($name:ident { $($field:ident: $ty:ty),* } by $key:expr;)*) => {$(
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = "programs.keys", aggregate = "thing", key = $key)]
        struct $name {
            $($field: $ty),*
        }
    )*};
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
enum Region {
    Eu,
    Us,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eu => "eu",
            Self::Us => "us",
        })
    }
}

#[derive(Serialize)]
struct Line {
    sku: String,
    count: u32,
}

#[derive(Serialize)]
struct Order {
    id: u64,
    region: Region,
    lines: Vec<Line>,
}

impl Order {
    fn id(&self) -> u64 {
        self.id
    }

    fn line(&self, at: usize) -> &Line {
        &self.lines[at]
    }

    fn largest<T: From<u32> + Ord>(&self) -> Option<T> {
        self.lines.iter().map(|line| T::from(line.count)).max()
    }
}

fn order() -> Order {
    let line = |sku: &str, count| Line {
        sku: sku.into(),
        count,
    };
    Order {
        id: 7,
        region: Region::Eu,
        lines: vec![line("a", 3), line("b", 9)],
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = order.line(1).sku)]
struct OfACall {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = order.lines.iter().map(|line| line.count).sum::<u32>())]
struct OfAClosure {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = order.largest::<u64>().unwrap_or_default())]
struct OfATurbofish {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = order.lines[0].sku)]
struct OfAnIndex {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = (order.region, order.id(), Self::SUFFIX, "fixed"))]
struct OfParts {
    order: Order,
}

impl OfParts {
    const SUFFIX: &'static str = "x";
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = match order.region { Region::Eu => "europe", Region::Us => "america" })]
struct OfAMatch {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = if order.region == Region::Us { "us" } else { "rest" })]
struct OfAnIf {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = { let id = order.id; id * 2 })]
struct OfABlock {
    order: Order,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = digest(&order, 2))]
struct OfAFunction {
    order: Order,
}

fn digest(order: &Order, factor: u64) -> String {
    format!("#{}", order.id * factor)
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = Self::key_of(&order.region, id))]
struct OfAnAssociatedFunction {
    order: Order,
    id: u8,
}

impl OfAnAssociatedFunction {
    fn key_of(region: &Region, id: u8) -> String {
        format!("{region}/{id}")
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = if urgent { id as u64 * 1000 } else { u64::from(id) })]
struct OfPlaces {
    id: u8,
    urgent: bool,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = [id, 4].iter().map(|id| id * 2).max().unwrap_or(id))]
struct OfAShadow {
    id: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = Pair { id, name: &name }.text())]
struct OfShorthand {
    id: u8,
    name: String,
}

struct Pair<'a> {
    id: u8,
    name: &'a str,
}

impl Pair<'_> {
    fn text(&self) -> String {
        format!("{}{}", self.name, self.id)
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{:03}/{name}", id as u32 + 1, name = Region::Eu))]
struct OfNamedArguments {
    id: u8,
    name: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = singleton().to_lowercase())]
struct OfACallAlone {
    id: u8,
}

fn singleton() -> &'static str {
    "ONE"
}

#[test]
fn a_field_is_itself() {
    assert_eq!(OfPlaces { id: 2, urgent: true }.key(), "2000");
    assert_eq!(OfPlaces { id: 2, urgent: false }.key(), "2");
    assert_eq!(OfAShadow { id: 5 }.key(), "10");
    let name = "n".to_owned();
    assert_eq!(OfShorthand { id: 5, name }.key(), "n5");
    let name = String::new();
    assert_eq!(OfNamedArguments { id: 255, name }.key(), "256/eu");
    assert_eq!(OfACallAlone { id: 5 }.key(), "one");
}

#[test]
fn expressions_over_fields() {
    assert_eq!(OfACall { order: order() }.key(), "b");
    assert_eq!(OfAClosure { order: order() }.key(), "12");
    assert_eq!(OfATurbofish { order: order() }.key(), "9");
    assert_eq!(OfAnIndex { order: order() }.key(), "a");
    assert_eq!(OfParts { order: order() }.key(), "eu:7:x:fixed");
    assert_eq!(OfAMatch { order: order() }.key(), "europe");
    assert_eq!(OfAnIf { order: order() }.key(), "rest");
    assert_eq!(OfABlock { order: order() }.key(), "14");
    assert_eq!(OfAFunction { order: order() }.key(), "#14");
    let (order, id) = (order(), 5);
    assert_eq!(OfAnAssociatedFunction { order, id }.key(), "eu/5");
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{region}-{id:04}"))]
struct InATemplate {
    region: Region,
    id: u32,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{1}-{0}", region, id))]
struct InPositions {
    region: Region,
    id: u32,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{a}-{b}-{{}}", a = self.region, b = self.id))]
struct InNames {
    region: Region,
    id: u32,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{region}{:>width$}{:0width$x}", "x", 255))]
struct InAWidth {
    region: Region,
    width: usize,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{0:?}|{0}", name.trim()))]
struct InDebug {
    name: String,
}

#[test]
fn texts_of_fields() {
    let (region, id) = (Region::Us, 9);
    assert_eq!(InATemplate { region, id }.key(), "us-0009");
    assert_eq!(InPositions { region, id }.key(), "9-us");
    assert_eq!(InNames { region, id }.key(), "us-9-{}");
    assert_eq!(InAWidth { region, width: 3 }.key(), "us  x0ff");
    assert_eq!(InDebug { name: " a ".into() }.key(), "\"a\"|a");
}

keyed! {
    Text { value: String } by self.value;
    Lower { value: String } by self.value.to_lowercase();
    Number { value: i128 } by self.value + 1;
    Id { value: Uuid } by self.value;
    Letter { value: char } by self.value;
    Truth { value: bool } by !self.value;
    Shared { value: Arc<str> } by self.value;
    Boxed { value: Box<str> } by self.value;
    OnHeap { value: Box<u64> } by *self.value;
    Owned { value: Cow<'static, str> } by self.value;
    Positive { value: NonZeroU32 } by self.value;
    Address { value: IpAddr } by self.value;
    Maybe { value: Option<u32> } by self.value.unwrap_or(0);
    MaybeText { value: Option<String> } by self.value.as_deref().unwrap_or("none");
    Cast { value: u8 } by self.value as u64 * 1000;
    Sliced { value: String } by &self.value[..2];
}

#[test]
fn all_that_can_be_shown() {
    let keys = [
        Text { value: "a".into() }.key(),
        Lower { value: "A".into() }.key(),
        Number { value: -2 }.key(),
        Id { value: Uuid::nil() }.key(),
        Letter { value: 'ß' }.key(),
        Truth { value: false }.key(),
        Shared { value: "s".into() }.key(),
        Boxed { value: "b".into() }.key(),
        OnHeap { value: Box::new(4) }.key(),
        Owned { value: "c".into() }.key(),
        Positive {
            value: NonZeroU32::MIN,
        }
        .key(),
        Address {
            value: IpAddr::from([127, 0, 0, 1]),
        }
        .key(),
        Maybe { value: None }.key(),
        MaybeText { value: None }.key(),
        Cast { value: 255 }.key(),
        Sliced { value: "abc".into() }.key(),
    ];
    let expected = [
        "a",
        "a",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "ß",
        "true",
        "s",
        "b",
        "4",
        "c",
        "1",
        "127.0.0.1",
        "0",
        "none",
        "255000",
        "ab",
    ];
    assert_eq!(keys, expected);
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys.{type}", aggregate = "thing", key = r#type)]
struct RawIdentifier {
    r#type: String,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{type}:{}", r#match))]
#[allow(non_camel_case_types)]
struct r#async {
    r#type: String,
    r#match: u8,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys.{1}", aggregate = "thing", key = 1)]
struct Tuple(u8, u16);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys.{0.0.1}", aggregate = "thing", key = 0.0.1)]
struct Deep(((u8, u16), u32));

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = (0, 1))]
struct TuplePair(u8, u16);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = format!("{}-{}", self.0, self.1))]
struct TupleText(u8, u16);

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = Self::KEY)]
struct Unit;

impl Unit {
    const KEY: &'static str = "the one";
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "programs.keys", aggregate = "thing", key = self.name())]
struct UnitByMethod {}

impl UnitByMethod {
    fn name(&self) -> &'static str {
        "named"
    }
}

#[test]
fn fields_under_any_name() {
    let raw = RawIdentifier { r#type: "t".into() };
    assert_eq!((&*raw.topic(), &*raw.key()), ("programs.keys.t", "t"));
    let raw = r#async {
        r#type: "t".into(),
        r#match: 1,
    };
    assert_eq!((&*raw.event_type(), &*raw.key()), ("async", "t:1"));
    assert_eq!(
        (&*Tuple(1, 2).topic(), &*Tuple(1, 2).key()),
        ("programs.keys.2", "2")
    );
    let deep = Deep(((1, 2), 3));
    assert_eq!((&*deep.topic(), &*deep.key()), ("programs.keys.2", "2"));
    assert_eq!(TuplePair(1, 2).key(), "1:2");
    assert_eq!(TupleText(1, 2).key(), "1-2");
    assert_eq!(Unit.key(), "the one");
    assert_eq!(UnitByMethod {}.key(), "named");
}
