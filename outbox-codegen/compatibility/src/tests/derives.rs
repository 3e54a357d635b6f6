//! Pairs of real types, with schemars' schemas.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::judge;
use super::pair::{BACKWARD, BROKEN, FORWARD, FULL, check, fields, pairs, schema};

fields! {
    a_widened_integer: BACKWARD; u8 = [0, 255]; u32 = [0, 256];
    a_narrowed_integer: FORWARD; i64 = [i64::MIN, 0]; i32 = [0];
    an_integer_that_gets_a_sign: BROKEN; u64 = [u64::MAX]; i64 = [-1];
    an_unsigned_integer_into_a_larger_signed: BACKWARD; u32 = [u32::MAX]; i64 = [-1];
    an_integer_into_a_float: BACKWARD; i64 = [1 << 40]; f64 = [1.5];
    a_small_integer_into_a_single_float: BACKWARD; u16 = [65_535]; f32 = [1.5];
    a_float_into_an_integer: FORWARD; f64 = [1.0]; u64 = [1];
    any_number: FULL; f64 = [1.5]; serde_json::Number = [serde_json::Number::from(3)];
    a_number_into_text: BROKEN; u32 = [7]; String = ["7".to_owned()];
    a_boolean_into_a_number: BROKEN; bool = [true]; u8 = [1];
    a_large_integer: BACKWARD; u64 = [u64::MAX]; u128 = [u128::MAX];
    a_large_signed_integer: BROKEN; u128 = [u128::MAX]; i128 = [i128::MIN];
    a_character_into_text: BACKWARD; char = ['å']; String = ["åå".to_owned()];
    an_identifier_into_text: BACKWARD; uuid::Uuid = [uuid::Uuid::nil()]; String = ["x".to_owned()];
    a_time_into_text: BACKWARD; chrono::DateTime<chrono::Utc> = [chrono::DateTime::UNIX_EPOCH]; String = ["x".to_owned()];
    another_format: BROKEN; uuid::Uuid = [uuid::Uuid::nil()]; chrono::NaiveDate = [chrono::NaiveDate::MIN];
    an_address_of_either_kind: BACKWARD; std::net::Ipv4Addr = [[1, 2, 3, 4].into()]; std::net::IpAddr = ["::1".parse().unwrap()];
    a_value_that_may_be_null: BACKWARD; u8 = [1]; Option<u8> = [None];
    a_value_that_was_nullable: FORWARD; Option<String> = [None]; String = [String::new()];
    null_in_null: FULL; Option<Option<u8>> = [None, Some(Some(1))]; Option<u8> = [None, Some(1)];
    anything: BACKWARD; Vec<u8> = [vec![1]]; Value = [Value::Null];
    one_into_many: BROKEN; u8 = [1]; Vec<u8> = [vec![1]];
    a_list_into_a_set: FULL; Vec<u8> = [vec![1, 1]]; BTreeSet<u8> = [BTreeSet::from([1])];
    a_tuple_into_a_list: BACKWARD; (u8, u8) = [(1, 2)]; Vec<u16> = [vec![]];
    a_tuple_that_grows: BROKEN; (u8,) = [(1,)]; (u8, u8) = [(1, 2)];
    a_tuple_of_other_elements: BACKWARD; (u8, String) = [(1, String::new())]; (u32, Option<String>) = [(1 << 20, None)];
    an_array_into_a_list: BACKWARD; [u8; 2] = [[1, 2]]; Vec<u8> = [vec![]];
    an_array_into_a_tuple: FULL; [u8; 2] = [[1, 2]]; (u8, u8) = [(1, 2)];
    an_array_of_another_length: BROKEN; [u8; 2] = [[1, 2]]; [u8; 3] = [[1, 2, 3]];
    an_empty_array: BACKWARD; [u8; 0] = [[]]; Vec<String> = [vec![String::new()]];
    elements_that_are_widened: BACKWARD; Vec<u8> = [vec![1]]; Vec<Option<u16>> = [vec![None]];
    values_of_a_map: BACKWARD; BTreeMap<String, u8> = [BTreeMap::from([("a".to_owned(), 1)])]; BTreeMap<String, f64> = [BTreeMap::from([("a".to_owned(), 0.5)])];
    keys_of_a_map: BACKWARD; BTreeMap<u8, u8> = [BTreeMap::from([(1, 1)])]; BTreeMap<String, u8> = [BTreeMap::from([("a".to_owned(), 1)])];
    a_result: BACKWARD; Result<u8, u8> = [Ok(1), Err(1)]; Result<u16, u8> = [Ok(256)];
    a_bound: BACKWARD; std::ops::Bound<u8> = [std::ops::Bound::Unbounded]; std::ops::Bound<u16> = [std::ops::Bound::Included(256)];
    a_duration_into_seconds: BROKEN; std::time::Duration = [std::time::Duration::ZERO]; u64 = [1];
    nothing_into_an_option: BACKWARD; () = [()]; Option<u8> = [Some(1)];
}

pairs! {
    nothing_changed: FULL;
        old { pub(super) struct Event { a: u8, b: Option<String> } } [Event { a: 1, b: None }]
        new { pub(super) struct Event { a: u8, b: Option<String> } } [Event { a: 1, b: Some("b".into()) }]
    a_required_field_added: FORWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, b: u8 } } [Event { a: 1, b: 1 }]
    an_option_added: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, b: Option<u8> } } [Event { a: 1, b: None }, Event { a: 1, b: Some(2) }]
    a_field_with_a_default_added: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { a: u8, #[serde(default)] b: u8 } } [Event { a: 1, b: 0 }]
    a_default_for_all_fields: BACKWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { #[derive(Default)] #[serde(default)] pub(super) struct Event { #[serde(skip_serializing_if = "zero")] a: u8, b: u8 } } [Event { a: 0, b: 0 }]
    a_required_field_removed: BACKWARD;
        old { pub(super) struct Event { a: u8, b: u8 } } [Event { a: 1, b: 1 }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    an_option_removed: FULL;
        old { pub(super) struct Event { a: u8, b: Option<u8> } } [Event { a: 1, b: None }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    a_field_renamed: BROKEN;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { b: u8 } } [Event { b: 1 }]
    a_field_renamed_in_rust_only: FULL;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { #[serde(rename = "a")] b: u8 } } [Event { b: 1 }]
    another_case: BROKEN;
        old { pub(super) struct Event { order_id: u8 } } [Event { order_id: 1 }]
        new { #[serde(rename_all = "camelCase")] pub(super) struct Event { order_id: u8 } } [Event { order_id: 1 }]
    a_field_renamed_with_an_alias: BACKWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { #[serde(alias = "a")] #[schemars(extend("x-serde-alias" = ["a"]))] b: u8 } } [Event { b: 1 }]
    an_option_renamed: FULL;
        old { pub(super) struct Event { a: Option<u8> } } [Event { a: Some(1) }]
        new { pub(super) struct Event { b: Option<u8> } } [Event { b: Some(1) }]
    a_field_that_is_not_written_any_more: BACKWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { pub(super) struct Event { #[serde(skip_serializing, default)] a: u8 } } [Event { a: 1 }]
    unknown_fields_refused: FORWARD;
        old { pub(super) struct Event { a: u8, b: Option<u8> } } [Event { a: 1, b: None }]
        new { #[serde(deny_unknown_fields)] pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    an_option_added_where_unknown_fields_are_refused: BACKWARD;
        old { #[serde(deny_unknown_fields)] pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { #[serde(deny_unknown_fields)] pub(super) struct Event { a: u8, b: Option<u8> } } [Event { a: 1, b: None }]
    a_field_of_a_nested_struct: FORWARD;
        old { struct Inner { x: u8 } pub(super) struct Event { a: Vec<Option<Inner>> } } [Event { a: vec![Some(Inner { x: 1 })] }]
        new { struct Inner { x: u8, y: u8 } pub(super) struct Event { a: Vec<Option<Inner>> } } [Event { a: vec![Some(Inner { x: 1, y: 1 }), None] }]
    a_definition_renamed: FULL;
        old { struct Inner { x: u8 } pub(super) struct Event { a: Inner } } [Event { a: Inner { x: 1 } }]
        new { struct Other { x: u8 } pub(super) struct Event { a: Other } } [Event { a: Other { x: 1 } }]
    two_definitions_exchanged: BROKEN;
        old { struct A { x: u8 } struct B { y: u8 } pub(super) struct Event { a: A, b: B } } [Event { a: A { x: 1 }, b: B { y: 1 } }]
        new { struct A { y: u8 } struct B { x: u8 } pub(super) struct Event { a: A, b: B } } [Event { a: A { y: 1 }, b: B { x: 1 } }]
    behind_two_references: BACKWARD;
        old { struct Leaf { x: u8 } struct Branch { leaf: Leaf } pub(super) struct Event { branch: Branch } } [Event { branch: Branch { leaf: Leaf { x: 1 } } }]
        new { struct Leaf { x: u16 } struct Branch { leaf: Leaf } pub(super) struct Event { branch: Branch } } [Event { branch: Branch { leaf: Leaf { x: 256 } } }]
    a_recursive_type: FORWARD;
        old { pub(super) struct Event { next: Option<Box<Event>>, x: u16 } } [Event { next: None, x: 256 }]
        new { pub(super) struct Event { next: Option<Box<Event>>, x: u8 } } [Event { next: Some(Box::new(Event { next: None, x: 1 })), x: 1 }]
    two_types_in_a_circle: FULL;
        old { struct Leaf { tree: Vec<Tree> } struct Tree { leaf: Option<Box<Leaf>> } pub(super) struct Event { tree: Tree } }
            [Event { tree: Tree { leaf: Some(Box::new(Leaf { tree: vec![Tree { leaf: None }] })) } }]
        new { pub(super) struct Event { tree: Tree } struct Tree { leaf: Option<Box<Leaf>>, x: Option<u8> } struct Leaf { tree: Vec<Tree> } }
            [Event { tree: Tree { leaf: Some(Box::new(Leaf { tree: vec![Tree { leaf: None, x: Some(1) }] })), x: None } }]
    deep_in_a_recursive_type: FORWARD;
        old { struct Tree { kids: Vec<Tree> } pub(super) struct Event { tree: Tree } } [Event { tree: Tree { kids: vec![Tree { kids: vec![] }] } }]
        new { struct Tree { kids: Vec<Tree>, x: u8 } pub(super) struct Event { tree: Tree } } [Event { tree: Tree { kids: vec![], x: 1 } }]

    a_newtype: FULL;
        old { struct Id(u8); pub(super) struct Event { a: Id } } [Event { a: Id(1) }]
        new { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
    a_struct_becomes_a_map: BACKWARD;
        old { struct Inner { x: u8 } pub(super) struct Event { a: Inner } } [Event { a: Inner { x: 1 } }]
        new { pub(super) struct Event { a: BTreeMap<String, u8> } } [Event { a: BTreeMap::new() }]
    a_map_becomes_a_struct_of_options: BACKWARD;
        old { pub(super) struct Event { a: BTreeMap<String, u8> } } [Event { a: BTreeMap::from([("x".into(), 1)]) }]
        new { struct Inner { x: Option<u8> } pub(super) struct Event { a: Inner } } [Event { a: Inner { x: None } }]
    a_struct_that_is_flattened: BROKEN;
        old { struct Inner { x: u8 } pub(super) struct Event { inner: Inner } } [Event { inner: Inner { x: 1 } }]
        new { struct Inner { x: u8 } pub(super) struct Event { #[serde(flatten)] inner: Inner } } [Event { inner: Inner { x: 1 } }]
    fields_moved_into_a_flattened_struct: FULL;
        old { pub(super) struct Event { a: u8, x: u8 } } [Event { a: 1, x: 1 }]
        new { struct Inner { x: u8 } pub(super) struct Event { a: u8, #[serde(flatten)] inner: Inner } } [Event { a: 1, inner: Inner { x: 1 } }]
    a_flattened_map: BROKEN;
        old { pub(super) struct Event { a: u8, b: Option<String> } } [Event { a: 1, b: Some("b".into()) }]
        new { pub(super) struct Event { a: u8, #[serde(flatten)] rest: BTreeMap<String, u8> } } [Event { a: 1, rest: BTreeMap::from([("b".into(), 1)]) }]
    a_tag_and_a_flattened_enum: BACKWARD;
        old { #[serde(tag = "kind")] enum Kind { A { x: u8 } } pub(super) struct Event { id: u8, #[serde(flatten)] kind: Kind } } [Event { id: 1, kind: Kind::A { x: 1 } }]
        new { #[serde(tag = "kind")] enum Kind { A { x: u8 }, B } pub(super) struct Event { id: u8, #[serde(flatten)] kind: Kind } } [Event { id: 1, kind: Kind::B }]
    a_flattened_external_enum: FORWARD;
        old { enum Kind { A { x: u8 }, B } pub(super) struct Event { id: u8, #[serde(flatten)] kind: Kind } } [Event { id: 1, kind: Kind::B }]
        new { enum Kind { A { x: u8 } } pub(super) struct Event { id: u8, #[serde(flatten)] kind: Kind } } [Event { id: 1, kind: Kind::A { x: 1 } }]

    a_unit_variant_added: BACKWARD;
        old { enum Kind { A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
        new { enum Kind { A, B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::B }]
    a_unit_variant_removed: FORWARD;
        old { enum Kind { A, B, C } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::B }]
        new { enum Kind { A, C } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
    a_variant_renamed: BROKEN;
        old { enum Kind { A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
        new { enum Kind { #[serde(rename = "a")] A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
    variants_in_another_order_with_comments: FULL;
        old { enum Kind { A, B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
        new { enum Kind { #[doc = "The second."] B, #[doc = "The first."] A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::B }]
    an_enum_becomes_text: BACKWARD;
        old { enum Kind { A, B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
        new { pub(super) struct Event { kind: String } } [Event { kind: "C".into() }]
    an_optional_enum: BACKWARD;
        old { enum Kind { A, B } pub(super) struct Event { kind: Option<Kind> } } [Event { kind: None }, Event { kind: Some(Kind::B) }]
        new { enum Kind { A, B, C } pub(super) struct Event { kind: Option<Kind> } } [Event { kind: Some(Kind::C) }]
    a_variant_with_a_value_added: BACKWARD;
        old { enum Kind { A, B { x: u8 } } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }, Event { kind: Kind::B { x: 1 } }]
        new { enum Kind { A, B { x: u8 }, C(u8) } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::C(1) }]
    a_variant_with_a_value_removed: FORWARD;
        old { enum Kind { A, B { x: u8 } } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::B { x: 1 } }]
        new { enum Kind { A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
    a_unit_variant_that_gets_a_value: BROKEN;
        old { enum Kind { A } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A }]
        new { enum Kind { A { x: u8 } } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A { x: 1 } }]
    a_field_of_a_variant: FORWARD;
        old { enum Kind { A { x: u8 } , B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A { x: 1 } }]
        new { enum Kind { A { x: u8, y: u8 }, B } pub(super) struct Event { kind: Kind } } [Event { kind: Kind::A { x: 1, y: 1 } }]
    a_tagged_variant_added: BACKWARD;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 }, B } } [Event::B]
    a_tagged_variant_removed: FORWARD;
        old { struct Inner { x: u8 } #[serde(tag = "t")] pub(super) enum Event { A(Inner), B } } [Event::A(Inner { x: 1 }), Event::B]
        new { struct Inner { x: u8 } #[serde(tag = "t")] pub(super) enum Event { A(Inner) } } [Event::A(Inner { x: 1 })]
    a_field_of_a_tagged_variant: FORWARD;
        old { struct Inner { x: u8 } #[serde(tag = "t")] pub(super) enum Event { A(Inner), B } } [Event::A(Inner { x: 1 })]
        new { struct Inner { x: u8, y: u8 } #[serde(tag = "t")] pub(super) enum Event { A(Inner), B } } [Event::A(Inner { x: 1, y: 1 })]
    another_tag: BROKEN;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { #[serde(tag = "type")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
    the_text_of_a_tag: BROKEN;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { #[serde(tag = "t", rename_all = "lowercase")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
    external_to_internal: BROKEN;
        old { pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
    internal_to_adjacent: BROKEN;
        old { #[serde(tag = "t")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
        new { #[serde(tag = "t", content = "c")] pub(super) enum Event { A { x: u8 } } } [Event::A { x: 1 }]
    an_adjacent_variant_added: BACKWARD;
        old { #[serde(tag = "t", content = "c")] pub(super) enum Event { A(u8), N } } [Event::A(1), Event::N]
        new { #[serde(tag = "t", content = "c")] pub(super) enum Event { A(u16), N, B { x: u8 } } } [Event::B { x: 1 }]
    an_untagged_alternative_added: BACKWARD;
        old { #[serde(untagged)] pub(super) enum Event { A(u8), B { x: u8 } } } [Event::A(1), Event::B { x: 1 }]
        new { #[serde(untagged)] pub(super) enum Event { A(u8), B { x: u8 }, C(String) } } [Event::C("c".into())]
    an_untagged_alternative_removed: FORWARD;
        old { #[serde(untagged)] pub(super) enum Event { A(u8), B(String) } } [Event::A(1), Event::B("b".into())]
        new { #[serde(untagged)] pub(super) enum Event { B(String) } } [Event::B("b".into())]
    untagged_alternatives_in_another_order: FULL;
        old { #[serde(untagged)] pub(super) enum Event { A(u8), B(String), C { x: u8 } } } [Event::A(1), Event::B("b".into()), Event::C { x: 1 }]
        new { #[serde(untagged)] pub(super) enum Event { D { x: u8 }, B(String), A(u8) } } [Event::A(1), Event::B("b".into()), Event::D { x: 1 }]
    a_value_into_an_untagged_one: BACKWARD;
        old { pub(super) struct Event { a: u8 } } [Event { a: 1 }]
        new { #[serde(untagged)] enum One { A(u8), Many(Vec<u8>) } pub(super) struct Event { a: One } } [Event { a: One::Many(vec![1]) }]
    a_tag_with_a_constant_for_a_struct: BROKEN;
        old { #[serde(tag = "v")] pub(super) enum Event { #[serde(rename = "1")] One { x: u8 } } } [Event::One { x: 1 }]
        new { #[serde(tag = "v")] pub(super) enum Event { #[serde(rename = "2")] One { x: u8 } } } [Event::One { x: 1 }]
    a_map_by_an_enum: BACKWARD;
        old { enum Key { A, B } pub(super) struct Event { a: BTreeMap<Key, u8> } } [Event { a: BTreeMap::from([(Key::A, 1)]) }]
        new { enum Key { A, B, C } pub(super) struct Event { a: BTreeMap<Key, u8> } } [Event { a: BTreeMap::from([(Key::C, 1)]) }]
}

fn zero(value: &u8) -> bool {
    *value == 0
}

/// Digits would be lost in silence: serde reads them, and we still say no.
#[test]
fn a_float_into_a_single_one() {
    let findings = judge(&schema::<f64>(), &schema::<f32>());
    assert!(
        findings[0][0].reason.contains("digits") && findings[1].is_empty(),
        "{findings:?}"
    );
    let findings = judge(&schema::<u32>(), &schema::<f32>());
    assert!(!findings[0].is_empty(), "{findings:?}");
}

/// Whoever checks them is not serde; that nobody does cannot be seen.
#[test]
fn bounds_that_are_declared_count_as_promised() {
    #[derive(JsonSchema)]
    struct Old {
        #[schemars(length(max = 10))]
        _name: String,
        #[schemars(range(min = 1, max = 5))]
        _stars: u8,
    }
    #[derive(JsonSchema)]
    struct New {
        #[schemars(length(max = 20))]
        _name: String,
        #[schemars(range(min = 1, max = 10))]
        _stars: u8,
    }
    let [backward, forward] = judge(&schema::<Old>(), &schema::<New>());
    assert!(backward.is_empty(), "{backward:?}");
    assert_eq!(forward.len(), 2, "{forward:?}");
}
