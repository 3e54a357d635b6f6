//! What no rule knows is never taken for compatible, unless it is the same.

use serde_json::{Value, json};

use super::judge;

fn field(schema: Value) -> Value {
    json!({"type": "object", "properties": {"a": schema}, "required": ["a"]})
}

#[track_caller]
fn cannot_tell(old: Value, new: Value) {
    let (old, new) = (field(old), field(new));
    for findings in judge(&old, &new) {
        assert!(
            findings.len() == 1 && findings[0].reason.starts_with("cannot tell"),
            "{findings:?}"
        );
    }
    assert!(
        judge(&old, &old).iter().all(Vec::is_empty),
        "it does not equal itself"
    );
}

#[test]
fn keywords_that_no_rule_knows() {
    let text = |keyword: &str, value: Value| json!({"type": "string", keyword: value});
    cannot_tell(
        text("contentEncoding", json!("base64")),
        text("contentEncoding", json!("base16")),
    );
    cannot_tell(
        text("contentEncoding", json!("base64")),
        json!({"type": "string"}),
    );
    cannot_tell(text("newKeyword", json!(1)), json!({"type": "string"}));
    cannot_tell(
        json!({"type": "integer", "multipleOf": 5}),
        json!({"type": "integer"}),
    );
    cannot_tell(
        json!({"type": "integer", "format": "int32", "not": {"const": 0}}),
        json!({"type": "integer", "format": "int32"}),
    );
    cannot_tell(
        json!({"type": "object", "minProperties": 1}),
        json!({"type": "object"}),
    );
    cannot_tell(
        json!({"type": "array", "contains": {"const": 1}}),
        json!({"type": "array"}),
    );
    cannot_tell(
        json!({"if": {"const": 1}, "then": false}),
        json!({"if": {"const": 2}, "then": false}),
    );
    cannot_tell(
        json!({"type": "number", "maximum": 1.5}),
        json!({"type": "number", "maximum": 2.5}),
    );
    cannot_tell(json!({"const": {"x": 1}}), json!({"const": {"x": 2}}));
    cannot_tell(
        json!({"$ref": "https://example.com/a"}),
        json!({"$ref": "https://example.com/b"}),
    );
    cannot_tell(json!({"type": "imaginary"}), json!({"type": "string"}));
}

/// The construct is the same, what it refers to is not.
#[test]
fn a_definition_behind_an_unknown_construct() {
    let with = |of: &str| {
        json!({
            "type": "object", "properties": {"a": {"not": {"$ref": "#/$defs/A"}}}, "required": ["a"],
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"type": of}},
        })
    };
    assert!(judge(&with("string"), &with("string")).iter().all(Vec::is_empty));
    assert!(
        judge(&with("string"), &with("integer"))
            .iter()
            .all(|findings| !findings.is_empty())
    );
}

/// A map by identifiers and one by numbers: which names they hold is not to be seen.
#[test]
fn keys_by_patterns() {
    let keyed = |pattern: &str| json!({"type": "object", "patternProperties": {pattern: true}, "additionalProperties": false});
    cannot_tell(keyed("^\\d+$"), keyed("^-?\\d+$"));
}

/// A comment is no change.
#[test]
fn annotations_say_nothing() {
    let old = json!({"type": "string", "title": "A", "description": "a", "default": "a", "examples": ["a"]});
    let new = json!({"type": "string", "$comment": "b", "deprecated": true, "x-note": 1});
    assert!(judge(&field(old), &field(new)).iter().all(Vec::is_empty));
}

/// `oneOf` and `const` are where the best known comparison is blind.
#[test]
fn every_change_is_reported_with_its_path() {
    let shape = |kind: &str, more: Value| {
        json!({
            "type": "object",
            "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}},
            "required": ["lines"],
            "$defs": {"Line": {"oneOf": [
                {"type": "object", "properties": {"kind": {"type": "string", "const": kind}, "price": {"type": "integer"}},
                 "required": ["kind", "price"]},
                more,
            ]}},
        })
    };
    let gift = json!({"type": "object", "properties": {"kind": {"type": "string", "const": "gift"}}, "required": ["kind"]});
    let [backward, forward] = judge(&shape("item", gift.clone()), &shape("thing", gift));
    assert_eq!(backward[0].path, "$.lines[*](item)");
    assert_eq!(forward[0].path, "$.lines[*](thing)");
    assert!(
        backward[0]
            .reason
            .contains("old data may hold the variant `item`"),
        "{backward:?}"
    );
}

/// Each field refers twice to the next type: without memory that is two to the thirtieth.
#[test]
fn many_paths_to_one_type_take_no_time() {
    let chain = |leaf: &str| {
        let mut definitions = serde_json::Map::from_iter([("T0".to_owned(), json!({"type": leaf}))]);
        for level in 1..30 {
            let next = json!({"anyOf": [{"$ref": format!("#/$defs/T{}", level - 1)}, {"type": "null"}]});
            let of = json!({"type": "object", "properties": {"a": next, "b": next}, "required": ["a", "b"]});
            definitions.insert(format!("T{level}"), of);
        }
        json!({"$ref": "#/$defs/T29", "$defs": definitions})
    };
    assert!(
        judge(&chain("string"), &chain("string"))
            .iter()
            .all(Vec::is_empty)
    );
    let [backward, _] = judge(&chain("string"), &chain("boolean"));
    assert!((1..100).contains(&backward.len()), "{}", backward.len());
    assert!(
        backward
            .iter()
            .any(|finding| finding.reason.contains("the same type")),
        "{backward:#?}"
    );
}
