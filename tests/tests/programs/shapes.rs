//! Enums, generics, lifetimes, and items that other macros have made.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::Catalog;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn route(event: &impl OutboxEvent) -> String {
    let names = (event.event_type(), event.version());
    format!("{} {} {} v{}", event.topic(), event.key(), names.0, names.1)
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.{tenant}.defaults", aggregate = "thing", key = tenant, source = "/all", headers("x" = tenant))]
enum Defaults {
    Plain {
        tenant: String,
    },
    #[outbox(topic = "shapes.own", headers("y" = "z"))]
    OwnTopicV3 {
        tenant: String,
    },
    #[outbox(key = (tenant, id), event_type = "own.type", version = 9)]
    OwnKey {
        tenant: String,
        id: u8,
    },
    #[outbox(key = self.method(), correlation_id = *id)]
    OfSelf {
        tenant: String,
        id: Box<u8>,
    },
    #[outbox(topic = "shapes.{0}", key = 1.0, headers())]
    Tuple(u8, (char, u8)),
    #[outbox(topic = "shapes.unit", key = Self::KEY, headers())]
    Unit,
    #[outbox(transparent)]
    One(Inner),
    #[outbox(transparent)]
    Named {
        inner: Box<Inner>,
    },
}

impl Defaults {
    const KEY: &'static str = "unit";

    fn method(&self) -> &'static str {
        match self {
            Self::OfSelf { .. } => "of self",
            _ => "other",
        }
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.inner", aggregate = "thing", key = 0)]
struct Inner(u8);

#[test]
fn variants() {
    let tenant = || "t".to_owned();
    assert_eq!(
        route(&Defaults::Plain { tenant: tenant() }),
        "shapes.t.defaults t Plain v1"
    );
    let own = Defaults::OwnTopicV3 { tenant: tenant() };
    assert_eq!(route(&own), "shapes.own t OwnTopicV3 v3");
    assert_eq!(own.headers(), [("y".to_owned(), "z".to_owned())]);
    assert_eq!(own.source().unwrap(), "/all");
    let own = Defaults::OwnKey {
        tenant: tenant(),
        id: 1,
    };
    assert_eq!(route(&own), "shapes.t.defaults t:1 own.type v9");
    let of_self = Defaults::OfSelf {
        tenant: tenant(),
        id: Box::new(6),
    };
    assert_eq!(route(&of_self), "shapes.t.defaults of self OfSelf v1");
    assert_eq!(of_self.correlation_id().unwrap(), "6");
    assert_eq!(route(&Defaults::Tuple(1, ('a', 2))), "shapes.1 a Tuple v1");
    assert_eq!(route(&Defaults::Unit), "shapes.unit unit Unit v1");
    assert_eq!(route(&Defaults::One(Inner(3))), "shapes.inner 3 Inner v1");
    let inner = Box::new(Inner(4));
    assert_eq!(route(&Defaults::Named { inner }), "shapes.inner 4 Inner v1");
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.lifetimes", aggregate = "thing", key = name, headers("all" = all.join(",")))]
struct Lifetimes<'a, 'b: 'a> {
    name: &'a str,
    all: &'b [&'b str],
    owned: Cow<'a, str>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.{name}", aggregate = "thing", key = name, headers("x" = note), instances(Generic<String, u8>))]
struct Generic<K, N = u8>
where
    K: Clone,
{
    name: K,
    note: Option<N>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.constants", aggregate = "thing", key = format!("{}/{}", N, self.bytes.len()))]
struct Sized<const N: usize> {
    #[serde(skip)]
    bytes: [u8; N],
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.phantom", aggregate = "thing", key = id)]
struct Phantom<T> {
    id: u8,
    #[serde(skip)]
    of: PhantomData<T>,
}

#[derive(Serialize, OutboxEvent)]
#[serde(bound = "T: Serialize + DeserializeOwned")]
#[outbox(topic = "shapes.bounds", aggregate = "thing", key = id)]
struct Bounds<T: Debug> {
    id: u8,
    value: T,
}

#[derive(Serialize, OutboxEvent)]
enum Either<A, B: OutboxEvent> {
    #[outbox(transparent)]
    Left(A),
    #[outbox(transparent)]
    Right(B),
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.tree", aggregate = "thing", key = id)]
struct Tree {
    id: u8,
    children: Vec<Tree>,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.associated", aggregate = "thing", key = id)]
struct Associated<T: Has>
where
    T::Id: Display + Serialize,
{
    id: T::Id,
}

trait Has {
    type Id;
}

impl Has for u8 {
    type Id = u16;
}

struct NotSerialize;

#[test]
fn generic_items() {
    let lifetimes = Lifetimes {
        name: "l",
        all: &["a", "b"],
        owned: "c".into(),
    };
    assert_eq!(route(&lifetimes), "shapes.lifetimes l Lifetimes v1");
    assert_eq!(lifetimes.headers()[0].1, "a,b");
    assert_eq!(lifetimes.owned, "c");
    let generic = Generic {
        name: "g",
        note: Some(1.5),
    };
    assert_eq!(route(&generic), "shapes.g g Generic v1");
    assert_eq!(generic.headers()[0].1, "1.5");
    assert_eq!(Sized { bytes: [1, 2, 3] }.key(), "3/3");
    assert_eq!(
        route(&Phantom {
            id: 1,
            of: PhantomData::<NotSerialize>
        }),
        "shapes.phantom 1 Phantom v1"
    );
    assert_eq!(Bounds { id: 3, value: 'a' }.key(), "3");
    assert_eq!(Either::<Inner, Inner>::Left(Inner(5)).key(), "5");
    assert_eq!(Either::<Inner, Defaults>::Right(Defaults::Unit).key(), "unit");
    let children = vec![Tree {
        id: 2,
        children: vec![],
    }];
    assert_eq!(Tree { id: 1, children }.key(), "1");
    assert_eq!(Associated::<u8> { id: 500 }.key(), "500");
    assert!(Catalog::global().get("Generic", 1).is_some());
}

/// A struct of which nothing is written where it stands.
macro_rules! made {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field_vis:vis $field:ident: $ty:ty = $tag:literal),* $(,)? } topic $topic:expr, key $key:expr $(, with $header:literal = $value:expr)*) => {
        $(#[$meta])*
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = $topic, aggregate = "made", key = $key, headers($($header = $value),*))]
        $vis struct $name { $(#[serde(rename = $tag)] $field_vis $field: $ty),* }
    };
}

const MADE: &str = "shapes.made";

made! {
    /// Made.
    #[derive(Debug)]
    pub(crate) struct MadeOfAllV2 { pub(crate) id: u64 = "i", name: Option<String> = "n" }
    topic MADE, key self.id, with "x" = "literal", with "y" = MADE, with "z" = self.name.as_deref().unwrap_or("-")
}
made!(struct MadeOfAFieldV1 { id: u64 = "i" } topic "shapes.{id}", key id);
made!(struct MadeOfAFormatV1 { id: u64 = "i" } topic concat!("shapes", ".", "x"), key format!("{}!", self.id));

macro_rules! made_enum {
    ($name:ident { $($variant:ident($ty:ty) => $topic:literal),* }) => {
        #[derive(Serialize, OutboxEvent)]
        #[outbox(aggregate = "made", key = 0)]
        enum $name { $(#[outbox(topic = $topic)] $variant($ty)),* }
    };
}
made_enum!(MadeEnum { MadeA(u8) => "shapes.a", MadeB(String) => "shapes.b" });

macro_rules! made_field {
    ($field:ident, $key:ident) => {
        #[derive(Serialize, OutboxEvent)]
        #[outbox(topic = "shapes.field", aggregate = "made", key = $key, correlation_id = $field.to_uppercase())]
        struct MadeField {
            $field: String,
        }
    };
}
made_field!(text, text);

#[test]
fn items_of_macros() {
    let made = MadeOfAllV2 { id: 3, name: None };
    assert_eq!(route(&made), "shapes.made 3 MadeOfAllV2 v2");
    let values: Vec<_> = made.headers().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["literal", "shapes.made", "-"]);
    assert_eq!(route(&MadeOfAFieldV1 { id: 4 }), "shapes.4 4 MadeOfAFieldV1 v1");
    assert_eq!(
        route(&MadeOfAFormatV1 { id: 4 }),
        "shapes.x 4! MadeOfAFormatV1 v1"
    );
    assert_eq!(route(&MadeEnum::MadeB("k".into())), "shapes.b k MadeB v1");
    assert_eq!(MadeEnum::MadeA(1).key(), "1");
    assert_eq!(MadeField { text: "a".into() }.correlation_id().unwrap(), "A");
}

#[derive(Serialize, OutboxEvent)]
#[cfg_attr(all(), outbox(topic = "shapes.cfg", aggregate = "thing"), outbox(key = id))]
#[cfg_attr(any(), outbox(key = nothing))]
struct Configured {
    #[cfg(any())]
    nothing: u8,
    #[cfg(all())]
    id: u8,
    #[cfg_attr(all(), serde(skip), allow(dead_code))]
    skipped: NotShown,
}

#[derive(Default)]
struct NotShown;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shapes.cfg", aggregate = "thing", key = id)]
enum ConfiguredEnum {
    #[cfg(any())]
    Gone { no: u8 },
    #[cfg(all())]
    There { id: u8 },
}

#[test]
fn configured_away() {
    let skipped = NotShown;
    assert_eq!(
        route(&Configured { id: 1, skipped }),
        "shapes.cfg 1 Configured v1"
    );
    assert_eq!(route(&ConfiguredEnum::There { id: 2 }), "shapes.cfg 2 There v1");
}

mod inside {
    /// Declared in a function, in a module that knows nothing.
    pub(super) fn local() -> String {
        use outbox_runtime::OutboxEvent as _;
        const TOPIC: &str = "shapes.local";
        #[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
        #[outbox(topic = TOPIC, aggregate = "thing", key = self.0)]
        struct Local(u8);
        super::route(&Local(8)) + &Local(9).key()
    }
}

#[deny(deprecated)]
mod deprecated {
    #[deprecated]
    #[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
    #[outbox(topic = "shapes.deprecated", aggregate = "a", key = id)]
    pub(crate) enum DeprecatedEnum {
        #[deprecated(note = "old")]
        Old { id: u8 },
        New {
            #[deprecated]
            id: u8,
        },
    }

    #[allow(deprecated)]
    pub(super) fn emitted() -> [DeprecatedEnum; 2] {
        [DeprecatedEnum::Old { id: 1 }, DeprecatedEnum::New { id: 1 }]
    }
}

#[test]
fn anywhere() {
    assert_eq!(inside::local(), "shapes.local 8 Local v19");
    assert_eq!(route(&deprecated::emitted()[1]), "shapes.deprecated 1 New v1");
}
