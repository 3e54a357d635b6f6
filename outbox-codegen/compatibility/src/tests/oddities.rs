//! Pairs of types with the rarer attributes of serde.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge;
use super::pair::{BACKWARD, BROKEN, FORWARD, FULL, check, fields, pairs, schema};

fields! {
    a_signed_integer_that_loses_its_sign: BROKEN; i32 = [-1]; u32 = [u32::MAX];
    a_byte_that_grows: BACKWARD; u8 = [255]; u16 = [256];
    a_float_that_becomes_whole: FORWARD; f64 = [0.5]; i64 = [1];
    a_size: FULL; usize = [1]; u64 = [u64::MAX];
    a_number_that_may_not_be_zero: FORWARD; u32 = [0]; std::num::NonZeroU32 = [std::num::NonZeroU32::MIN];
    two_options_around_a_value_that_was_there: BACKWARD; u8 = [1]; Option<Option<u8>> = [None, Some(None), Some(Some(1))];
    a_boxed_value: FULL; Box<u8> = [Box::new(1)]; u8 = [1];
    borrowed_or_owned: FULL; std::borrow::Cow<'static, str> = ["a".into()]; String = ["a".to_owned()];
    a_hash_map_of_other_values: BROKEN; HashMap<String, u8> = [HashMap::from([("a".to_owned(), 1)])]; HashMap<String, String> = [HashMap::from([("a".to_owned(), "b".to_owned())])];
    a_map_whose_values_may_be_null: BACKWARD; HashMap<String, u8> = [HashMap::from([("a".to_owned(), 1)])]; HashMap<String, Option<u8>> = [HashMap::from([("a".to_owned(), None)])];
    a_list_into_a_map: BROKEN; Vec<u8> = [vec![]]; BTreeMap<String, u8> = [BTreeMap::new()];
    a_list_of_options: FORWARD; Vec<Option<u8>> = [vec![None]]; Vec<u8> = [vec![1]];
    a_set_of_texts_into_one_text: BROKEN; BTreeSet<String> = [BTreeSet::new()]; String = [String::new()];
    a_tuple_into_a_struct: BROKEN; (u8, u8, u8) = [(1, 2, 3)]; std::ops::Range<u8> = [1..2];
    a_date_into_a_time: BROKEN; chrono::NaiveDate = [chrono::NaiveDate::MIN]; chrono::DateTime<chrono::Utc> = [chrono::DateTime::UNIX_EPOCH];
    a_time_without_a_zone: BROKEN; chrono::DateTime<chrono::Utc> = [chrono::DateTime::UNIX_EPOCH]; chrono::NaiveDateTime = [chrono::NaiveDateTime::MIN];
    the_zone_of_a_time: FULL; chrono::DateTime<chrono::Utc> = [chrono::DateTime::UNIX_EPOCH]; chrono::DateTime<chrono::FixedOffset> = [chrono::DateTime::UNIX_EPOCH.fixed_offset()];
    text_into_an_identifier: FORWARD; String = ["x".to_owned()]; uuid::Uuid = [uuid::Uuid::nil()];
    an_identifier_into_a_number: BROKEN; uuid::Uuid = [uuid::Uuid::nil()]; u128 = [1];
    a_path: FULL; std::path::PathBuf = ["a".into()]; String = ["a".to_owned()];
    a_tuple_of_one: BROKEN; u8 = [1]; (u8,) = [(1,)];
    nested_lists: BACKWARD; Vec<Vec<u8>> = [vec![vec![1]]]; Vec<Vec<u32>> = [vec![vec![256]]];
    any_value_into_a_map: FORWARD; Value = [Value::Null]; BTreeMap<String, Value> = [BTreeMap::new()];
    an_optional_list: BACKWARD; Vec<u8> = [vec![]]; Option<Vec<u8>> = [None];
}

pairs! {
    two_options_around_a_new_field: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, b: Option<Option<u8>> } } [Event { a: 1, b: None }, Event { a: 1, b: Some(Some(1)) }]
    an_option_that_is_left_out: FULL;
        old { pub(super) struct Event { a: u8, b: Option<u8> } } [Event { a: 1, b: None }]
        new { pub(super) struct Event { a: u8, #[serde(skip_serializing_if = "Option::is_none")] b: Option<u8> } } [Event { a: 1, b: None }]
    a_required_list_that_is_left_out_when_empty: BACKWARD;
        old { pub(super) struct Event { b: Vec<u8> } } [Event { b: vec![] }]
        new { pub(super) struct Event { #[serde(default, skip_serializing_if = "Vec::is_empty")] b: Vec<u8> } } [Event { b: vec![] }]
    a_default_that_goes: FORWARD;
        old { pub(super) struct Event { #[serde(default, skip_serializing_if = "Vec::is_empty")] b: Vec<u8> } } [Event { b: vec![] }]
        new { pub(super) struct Event { b: Vec<u8> } } [Event { b: vec![] }]
    an_option_that_becomes_required: FORWARD;
        old { pub(super) struct Event { a: Option<u8> } } [Event { a: None }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    an_option_that_becomes_a_default: FORWARD;
        old { pub(super) struct Event { a: Option<u8> } } [Event { a: None }]
        new { pub(super) struct Event { #[serde(default)] a: u8 } } [Event { a: 1 }]
    a_field_that_is_skipped: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, #[serde(skip)] b: u8 } } [Event { a: 1, b: 0 }]
    a_field_of_another_type_with_the_same_name: BROKEN;
        old { pub(super) struct Event { a: u8, b: String } } [Event { a: 1, b: "b".into() }]
        new { pub(super) struct Event { a: String, b: u8 } } [Event { a: "a".into(), b: 1 }]
    text_becomes_an_enum: FORWARD;
        old { pub(super) struct Event { kind: String } } [Event { kind: "C".into() }]
        new { enum Kind { A, B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }, Event { kind: Kind::B }]
    text_becomes_an_enum_with_any_other_text: FULL;
        old { pub(super) struct Event { kind: String } } [Event { kind: "C".into() }]
        new { enum Kind { A, #[serde(untagged)] Other(String) } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }, Event { kind: Kind::Other("x".into()) }]
    a_boolean_becomes_an_enum: BROKEN;
        old { pub(super) struct Event { a: bool } } [Event { a: true }]
        new { enum A { Yes, No } pub(super) struct Event { a: A } } [Event { a: A::Yes }, Event { a: A::No }]
    fields_in_another_order: FULL;
        old { pub(super) struct Event { a: u8, b: String } } [Event { a: 1, b: "b".into() }]
        new { pub(super) struct Event { b: String, a: u8 } } [Event { a: 1, b: "b".into() }]
    another_case_for_variants: BROKEN;
        old { enum Kind { InStock } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::InStock }]
        new { #[serde(rename_all = "snake_case")] enum Kind { InStock } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::InStock }]
    another_case_for_fields_of_variants: BROKEN;
        old { pub(super) enum Event { A { order_id: u8 } } } [Event::A { order_id: 1 }]
        new { #[serde(rename_all_fields = "camelCase")] pub(super) enum Event { A { order_id: u8 } } } [Event::A { order_id: 1 }]
    a_tuple_struct_that_grows: BROKEN;
        old { struct Point(u8, u8); pub(super) struct Event { at: Point } } [Event { at: Point(1, 2) }]
        new { struct Point(u8, u8, u8); pub(super) struct Event { at: Point } } [Event { at: Point(1, 2, 3) }]
    a_newtype_becomes_a_tuple: BROKEN;
        old { struct Id(u8); pub(super) struct Event { a: Id } } [Event { a: Id(1) }]
        new { struct Id(u8, u8); pub(super) struct Event { a: Id } } [Event { a: Id(1, 2) }]
    a_newtype_becomes_a_struct: BROKEN;
        old { struct Id(u8); pub(super) struct Event { a: Id } } [Event { a: Id(1) }]
        new { struct Id { id: u8 } pub(super) struct Event { a: Id } } [Event { a: Id { id: 1 } }]
    a_transparent_struct: FULL;
        old { #[serde(transparent)] struct Id { id: u8 } pub(super) struct Event { a: Id } } [Event { a: Id { id: 1 } }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    a_tag_on_a_struct: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { #[serde(tag = "type")] pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    a_unit_struct_becomes_an_empty_one: BROKEN;
        old { struct Nothing; pub(super) struct Event { a: Nothing } } [Event { a: Nothing }]
        new { struct Nothing {} pub(super) struct Event { a: Nothing } } [Event { a: Nothing {} }]
    another_name_of_the_content: BROKEN;
        old { #[serde(tag = "t", content = "c")] pub(super) enum Event { A(u8) } } [Event::A(1)]
        new { #[serde(tag = "t", content = "d")] pub(super) enum Event { A(u8) } } [Event::A(1)]
    adjacent_to_untagged: BROKEN;
        old { #[serde(tag = "t", content = "c")] pub(super) enum Event { A(u8) } } [Event::A(1)]
        new { #[serde(untagged)] pub(super) enum Event { A(u8) } } [Event::A(1)]
    an_internal_tag_beside_a_flattened_field: FULL;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8, y: u8 } } } [Event::A { x: 1, y: 2 }]
        new { struct Rest { y: u8 } #[serde(tag = "t")] pub(super) enum Event { A { x: u8, #[serde(flatten)] rest: Rest } } } [Event::A { x: 1, rest: Rest { y: 2 } }]
    an_alternative_that_reads_less: FORWARD;
        old { #[serde(untagged)] enum One { A { x: u8 }, B { y: u8 } } pub(super) struct Event { a: One } } [Event { a: One::B { y: 1 } }]
        new { struct A { x: u8 } pub(super) struct Event { a: A } } [Event { a: A { x: 1 } }]
    an_alternative_of_options_reads_all: FULL;
        old { #[serde(untagged)] enum One { A { x: u8 }, B { y: u8 } } pub(super) struct Event { a: One } } [Event { a: One::B { y: 1 } }]
        new { #[serde(untagged)] enum One { A { x: u8 }, B { y: u8 }, C { z: Option<u8>, x: u8 } } pub(super) struct Event { a: One } } [Event { a: One::C { z: None, x: 1 } }]
    a_flattened_option: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { struct More { x: u8 } pub(super) struct Event { a: u8, #[serde(flatten)] more: Option<More> } } [Event { a: 1, more: None }, Event { a: 1, more: Some(More { x: 1 }) }]
    a_required_field_in_a_flattened_struct: FORWARD;
        old { struct More { x: u8 } pub(super) struct Event { #[serde(flatten)] more: More } } [Event { more: More { x: 1 } }]
        new { struct More { x: u8, y: u8 } pub(super) struct Event { #[serde(flatten)] more: More } } [Event { more: More { x: 1, y: 1 } }]
    a_flattened_map_goes: FULL;
        old { pub(super) struct Event { a: u8, #[serde(flatten)] rest: BTreeMap<String, u8> } } [Event { a: 1, rest: BTreeMap::from([("b".into(), 1)]) }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    unknown_fields_not_refused_any_more: FULL;
        old { #[serde(deny_unknown_fields)] pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    a_recursive_box: BROKEN;
        old { pub(super) struct Event { kids: Vec<Event>, x: u8 } } [Event { kids: vec![Event { kids: vec![], x: 1 }], x: 1 }]
        new { pub(super) struct Event { kids: Option<Box<Event>>, x: u8 } } [Event { kids: Some(Box::new(Event { kids: None, x: 1 })), x: 1 }]
    a_recursive_enum: BACKWARD;
        old { pub(super) enum Event { Leaf(u8), Both(Box<Event>, Box<Event>) } } [Event::Both(Box::new(Event::Leaf(1)), Box::new(Event::Leaf(2)))]
        new { pub(super) enum Event { Leaf(u8), Both(Box<Event>, Box<Event>), Not(Box<Event>) } } [Event::Not(Box::new(Event::Leaf(1)))]
    other_arguments_of_a_generic_type: BACKWARD;
        old { struct Page<T> { items: Vec<T>, next: Option<T> } pub(super) struct Event { page: Page<u8> } } [Event { page: Page { items: vec![1], next: None } }]
        new { struct Page<T> { items: Vec<T>, next: Option<T> } pub(super) struct Event { page: Page<u16> } } [Event { page: Page { items: vec![256], next: None } }]
    a_generic_type_beside_itself: FORWARD;
        old { struct Of<T> { x: T } pub(super) struct Event { a: Of<u8>, b: Of<u16> } } [Event { a: Of { x: 1 }, b: Of { x: 256 } }]
        new { struct Of<T> { x: T } pub(super) struct Event { a: Of<u8>, b: Of<u8> } } [Event { a: Of { x: 1 }, b: Of { x: 1 } }]
    a_new_field_that_is_left_out_and_still_required: FORWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, #[serde(skip_serializing_if = "Vec::is_empty")] b: Vec<u8> } } [Event { a: 1, b: vec![1] }]
    a_new_field_that_is_not_read: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, #[serde(skip_deserializing)] b: u8 } } [Event { a: 1, b: 1 }]
    a_new_field_of_nothing: FORWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { struct Nothing; pub(super) struct Event { a: u8, b: Nothing } } [Event { a: 1, b: Nothing }]
    a_new_field_with_a_boxed_option: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, b: Box<Option<u8>> } } [Event { a: 1, b: Box::new(None) }]
    a_new_field_with_a_newtype_of_an_option: FORWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { struct Maybe(Option<u8>); pub(super) struct Event { a: u8, b: Maybe } } [Event { a: 1, b: Maybe(None) }]
    a_new_field_that_is_a_transparent_option: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { #[serde(transparent)] struct Maybe(Option<u8>); pub(super) struct Event { a: u8, b: Maybe } } [Event { a: 1, b: Maybe(None) }]
    a_struct_variant_becomes_a_newtype: FULL;
        old { pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { struct Inner { x: u8 } pub(super) enum Event { A(Inner) } } [Event::A(Inner { x: 1 })]
    a_unit_variant_becomes_an_empty_one: BROKEN;
        old { pub(super) enum Event { A, B } } [Event::A, Event::B]
        new { pub(super) enum Event { A {}, B } } [Event::A {}, Event::B]
    a_unit_variant_becomes_an_option: BROKEN;
        old { pub(super) enum Event { A } } [Event::A]
        new { pub(super) enum Event { A(Option<u8>) } } [Event::A(Some(1))]
    a_tuple_variant_that_shrinks: BROKEN;
        old { pub(super) enum Event { A(u8, u8) } } [Event::A(1, 2)]
        new { pub(super) enum Event { A(u8) } } [Event::A(1)]
    a_tagged_unit_variant_that_gets_an_option: FULL;
        old { #[serde(tag = "t")] pub(super) enum Event { A, B } } [Event::A, Event::B]
        new { #[serde(tag = "t")] pub(super) enum Event { A { x: Option<u8> }, B } } [Event::A { x: Some(1) }, Event::A { x: None }]
    a_tagged_variant_that_refuses_unknown_fields: FORWARD;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8, y: Option<u8> } } } [Event::A { x: 1, y: Some(1) }]
        new { #[serde(tag = "t", deny_unknown_fields)] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
    another_default: FULL;
        old { pub(super) struct Event { #[serde(default)] a: u8 } } [Event { a: 0 }]
        new { pub(super) struct Event { #[serde(default = "three")] a: u8 } } [Event { a: 3 }]
    a_boolean_that_may_be_null: BACKWARD;
        old { pub(super) struct Event { a: bool } } [Event { a: true }, Event { a: false }]
        new { pub(super) struct Event { a: Option<bool> } } [Event { a: None }]
    a_variant_that_is_not_written: FULL;
        old { pub(super) enum Event { A } } [Event::A]
        new { pub(super) enum Event { A, #[serde(skip_serializing)] #[allow(dead_code)] B } } [Event::A]
    a_variant_with_an_alias_added: BACKWARD;
        old { pub(super) enum Event { A } } [Event::A]
        new { pub(super) enum Event { A, #[serde(alias = "b")] B } } [Event::B]
}

fn three() -> u8 {
    3
}

/// Such a type does not read all that it writes, and needs not: its readers may be elsewhere. Nothing has changed.
#[test]
fn a_field_that_is_left_out_and_still_required_is_like_itself() {
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Event {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        b: Vec<u8>,
    }
    let schema = schema::<Event>();
    assert_eq!(schema["x-serde-required"], json!(["b"]));
    assert!(judge(&schema, &schema).iter().all(Vec::is_empty));
}
