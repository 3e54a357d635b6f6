//! Pairs on which a schema alone and serde disagree.

use outbox_pairs::*;
use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::judge::{Pair, pair, side};

const FULL: [bool; 2] = [true, true];
const BACKWARD: [bool; 2] = [true, false];
const FORWARD: [bool; 2] = [false, true];
const BROKEN: [bool; 2] = [false, false];

#[track_caller]
fn check(expected: [bool; 2], pair: &Pair) {
    let judged = pair.judged();
    let said = judged.each_ref().map(|it| it.said.is_empty());
    let serde = judged.each_ref().map(|it| it.unread.is_empty());
    let described = judged.each_ref().map(|it| pair.described(it));
    assert_eq!(serde, expected, "serde\n{}{}", described[0], described[1]);
    assert_eq!(said, expected, "the schemas\n{}{}", described[0], described[1]);
}

/// The fields beside `id`, and what declares their types.
macro_rules! pairs {
    ($(
        $name:ident: $verdict:expr;
        old $(#[$old:meta])* { $($before:tt)* } [$($old_value:expr),*] { $($old_item:item)* }
        new $(#[$new:meta])* { $($now:tt)* } [$($new_value:expr),*] { $($new_item:item)* }
    )*) => { $(
        mod $name {
            use super::*;
            pub(super) mod old {
                #[allow(unused_imports)]
                use super::super::*;
                #[derive(Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
                $(#[$old])*
                #[outbox(topic = "pairs", aggregate = "pair", key = id, schema)]
                pub(crate) struct Event { id: u32, $($before)* }
                $($old_item)*
                pub(crate) fn values() -> Vec<Event> { vec![$($old_value),*] }
            }
            pub(super) mod new {
                #[allow(unused_imports)]
                use super::super::*;
                #[derive(Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
                $(#[$new])*
                #[outbox(topic = "pairs", aggregate = "pair", key = id, schema)]
                pub(crate) struct Event { id: u32, $($now)* }
                $($new_item)*
                pub(crate) fn values() -> Vec<Event> { vec![$($new_value),*] }
            }
            #[test]
            fn agree() {
                let (old, new) = (side(&old::values()), side(&new::values()));
                super::check($verdict, &super::Pair { change: stringify!($name), old, new });
            }
        }
    )* };
}

pairs! {
    a_function_that_writes: BACKWARD;
        old { n: u32 } [Event { id: 1, n: 1 }] {}
        new { #[serde(serialize_with = "as_text")] n: u32 } [Event { id: 1, n: 1 }] {}
    a_function_that_reads: FORWARD;
        old { n: u32 } [Event { id: 1, n: 1 }] {}
        new { #[serde(deserialize_with = "from_text")] n: u32 } [Event { id: 1, n: 1 }] {}
    a_function_that_read: BACKWARD;
        old { #[serde(deserialize_with = "from_text")] n: u32 } [Event { id: 1, n: 1 }] {}
        new { n: u32 } [Event { id: 1, n: 1 }] {}
    functions_on_both_sides: FULL;
        old { #[serde(serialize_with = "as_text", deserialize_with = "from_text")] n: u32 } [Event { id: 1, n: 1 }] {}
        new { #[serde(serialize_with = "as_text", deserialize_with = "from_text")] n: u32, more: Option<u8> }
            [Event { id: 1, n: 1, more: None }] {}
    functions_that_are_declared: FULL;
        old { n: String } [Event { id: 1, n: "1".into() }] {}
        new { #[serde(serialize_with = "as_text", deserialize_with = "from_text")] #[schemars(with = "String")] n: String }
            [Event { id: 1, n: "1".into() }] {}
    a_variant_that_is_not_read: FORWARD;
        old { k: Kind } [Event { id: 1, k: Kind::B }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] enum Kind { A, B }
        }
        new { k: Kind } [Event { id: 1, k: Kind::A }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] enum Kind { A, #[serde(skip_deserializing)] B }
        }
    a_variant_that_was_not_read: BACKWARD;
        old { k: Kind } [Event { id: 1, k: Kind::A }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] enum Kind { A, #[serde(skip_deserializing)] B }
        }
        new { k: Kind } [Event { id: 1, k: Kind::A }, Event { id: 1, k: Kind::B }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] enum Kind { A, B }
        }
    a_type_that_refuses_values_and_says_so: FORWARD;
        old { n: String } [Event { id: 1, n: "no".into() }] {}
        new { n: Mail } [Event { id: 1, n: Mail("a@b".into()) }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)]
            #[serde(try_from = "String")]
            #[schemars(with = "String", extend("x-serde-deserialize-with" = "Mail"))]
            struct Mail(String);
            impl TryFrom<String> for Mail {
                type Error = &'static str;
                fn try_from(text: String) -> Result<Self, Self::Error> {
                    if text.contains('@') { Ok(Self(text)) } else { Err("no address") }
                }
            }
        }
    an_event_that_refuses_values: FORWARD;
        old { } [Event { id: 2_000 }] {}
        new #[serde(try_from = "Raw")] { } [Event { id: 1 }] {
            #[derive(Deserialize, JsonSchema)] struct Raw { id: u32 }
            impl TryFrom<Raw> for Event {
                type Error = &'static str;
                fn try_from(raw: Raw) -> Result<Self, Self::Error> {
                    if raw.id < 1_000 { Ok(Self { id: raw.id }) } else { Err("too large") }
                }
            }
        }
    a_default_for_what_is_always_written: FULL;
        old { n: u32 } [Event { id: 1, n: 1 }] {}
        new { #[serde(default)] n: u32 } [Event { id: 1, n: 1 }] {}
    a_default_for_all: FULL;
        old { n: u32, m: String } [Event { id: 1, n: 1, m: "m".into() }] {}
        new #[derive(Default)] #[serde(default)] { n: u32, m: String } [Event { id: 1, n: 1, m: "m".into() }] {}
    a_default_for_a_field_of_a_nested_type: FULL;
        old { l: Line } [Event { id: 1, l: Line { n: 1 } }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Line { n: u8 }
        }
        new { l: Line } [Event { id: 1, l: Line { n: 1 } }] {
            #[derive(Clone, Serialize, Deserialize, JsonSchema)] struct Line { #[serde(default)] n: u8 }
        }
    a_null_that_never_was: FULL;
        old { #[serde(skip_serializing_if = "Option::is_none")] n: Option<u8> } [Event { id: 1, n: None }, Event { id: 1, n: Some(1) }] {}
        new { #[serde(default)] n: u8 } [Event { id: 1, n: 0 }] {}
    a_named_null_that_never_was: FULL;
        old { #[serde(skip_serializing_if = "Option::is_none")] n: Option<Line> } [Event { id: 1, n: None }, Event { id: 1, n: Some(Line { n: 1 }) }] {
            #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)] struct Line { n: u8 }
        }
        new { #[serde(default)] n: Line } [Event { id: 1, n: Line { n: 1 } }] {
            #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)] struct Line { n: u8 }
        }
    a_null_in_what_is_there: FORWARD;
        old { #[serde(skip_serializing_if = "Option::is_none")] n: Option<Option<u8>> } [Event { id: 1, n: Some(None) }] {}
        new { #[serde(default)] n: u8 } [Event { id: 1, n: 0 }] {}
    a_null_in_a_type_that_schemars_looks_through: FORWARD;
        old { #[serde(skip_serializing_if = "Option::is_none")] n: Option<Clear<Option<u8>>> } [Event { id: 1, n: Some(Clear(None)) }] {}
        new { #[serde(default)] n: u8 } [Event { id: 1, n: 0 }] {}
    a_float_into_a_decimal: BACKWARD;
        old { n: f64 } [Event { id: 1, n: 1.5 }] {}
        new { n: Decimal } [Event { id: 1, n: Decimal(1.5) }] {}
    a_decimal_beside_a_change: FULL;
        old { n: Decimal } [Event { id: 1, n: Decimal(1.5) }] {}
        new { n: Decimal, more: Option<u8> } [Event { id: 1, n: Decimal(1.5), more: None }] {}
    a_tag_where_unknown_fields_are_refused: BACKWARD;
        old #[serde(deny_unknown_fields)] { } [Event { id: 1 }] {}
        new #[serde(tag = "type", rename = "renamed")] { } [Event { id: 1 }] {}
    a_name_that_is_read_only: FORWARD;
        old { n: u32 } [Event { id: 1, n: 1 }] {}
        new { #[serde(rename(deserialize = "m"))] n: u32 } [Event { id: 1, n: 1 }] {}
}

/// The advice is one that helps.
#[test]
fn a_function_is_named_with_what_to_write() {
    use a_function_that_writes as module;
    let report = pair!("", module).report().to_string();
    let described = "new data are written with `as_text`, and a schema does not see what that does";
    assert!(
        report.contains(described) && report.contains("#[schemars(with = "),
        "{report}"
    );
}

mod nested {
    pub(super) mod old {
        use super::super::*;
        #[derive(Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
        #[outbox(topic = "pairs", aggregate = "pair", key = id, schema)]
        pub(crate) struct Event {
            id: u32,
            line: Line,
        }
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        struct Line {
            n: u8,
        }
        pub(crate) fn values() -> Vec<Event> {
            vec![Event {
                id: 1,
                line: Line { n: 1 },
            }]
        }
    }
    pub(super) mod new {
        use super::super::*;
        #[derive(Clone, Serialize, Deserialize, JsonSchema, OutboxEvent)]
        #[outbox(topic = "pairs", aggregate = "pair", key = id, schema)]
        pub(crate) struct Event {
            id: u32,
            line: Line,
        }
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        struct Line {
            #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
            n: u8,
        }
        pub(crate) fn values() -> Vec<Event> {
            vec![Event {
                id: 1,
                line: Line { n: 1 },
            }]
        }
    }
}

/// docs/schemas.md says so. If this fails, something sees it now, and the page has to say less.
#[test]
fn functions_within_types_that_no_derive_of_ours_sees() {
    let judged = pair!("", nested).judged();
    assert!(
        judged
            .iter()
            .all(|it| it.said.is_empty() && !it.unread.is_empty())
    );
}
