//! Events that come, go, move and change their version.

use outbox_runtime::catalog::{
    CatalogDocument, EventDescription, FieldSource, HeaderDescription, SchemaFile, SourceLocation,
};
use serde_json::{Value, json};

use super::super::{Compatibility, CompatibilityReport, EventState, compare};

fn event(event_type: &str, version: u32) -> EventDescription {
    EventDescription {
        event_type: event_type.to_owned(),
        version,
        topic: "orders".to_owned(),
        aggregate: "order".to_owned(),
        key: "order_id".to_owned(),
        content_type: "application/json".to_owned(),
        source: None,
        occurred_at: None,
        correlation_id: None,
        headers: Vec::new(),
        rust_type: format!("shop::{event_type}{version}"),
        location: SourceLocation {
            file: "src/events.rs".to_owned(),
            line: 1,
        },
        doc: String::new(),
        schema: Some(object(&["order_id"])),
    }
}

fn object(fields: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})))
        .collect();
    json!({"type": "object", "properties": properties, "required": fields})
}

fn catalog(events: &[EventDescription]) -> CatalogDocument {
    CatalogDocument {
        schema_version: 1,
        package: "shop".to_owned(),
        events: events.to_vec(),
    }
}

fn compared(
    old: &[EventDescription],
    new: &[EventDescription],
    compatibility: Compatibility,
) -> CompatibilityReport {
    let old = SchemaFile::all(&catalog(old)).unwrap();
    compare(&old, &catalog(new), compatibility).unwrap()
}

fn changed(change: impl FnOnce(&mut EventDescription)) -> CompatibilityReport {
    let mut new = event("OrderPlacedV1", 1);
    change(&mut new);
    compared(&[event("OrderPlacedV1", 1)], &[new], Compatibility::Full)
}

#[test]
fn the_same_is_unchanged_whatever_its_comments_say() {
    let report = changed(|new| new.doc = "Better words.".to_owned());
    assert!(report.compatible);
    assert_eq!(report.events[0].state, EventState::Unchanged);
}

#[test]
fn an_event_that_moves_loses_its_readers_and_its_order() {
    for (path, change) in [
        (
            "topic",
            (|new| new.topic = "sales".to_owned()) as fn(&mut EventDescription),
        ),
        ("key", |new| new.key = "customer_id".to_owned()),
        ("aggregate", |new| new.aggregate = "sale".to_owned()),
        ("content_type", |new| {
            new.content_type = "application/cbor".to_owned()
        }),
    ] {
        let report = changed(change);
        assert!(!report.compatible, "{path}");
        let difference = &report.events[0].differences[0];
        assert_eq!((difference.path.as_str(), difference.breaks.len()), (path, 2));
        assert!(
            difference
                .advice
                .as_ref()
                .is_some_and(|advice| advice.contains("OrderPlacedV2")),
            "{difference:?}"
        );
    }
    assert!(changed(|new| new.source = Some("/shop".to_owned())).compatible);
}

#[test]
fn a_header_may_come_and_may_not_go() {
    let header = HeaderDescription {
        name: "x-tenant".to_owned(),
        value: FieldSource::Field("tenant".to_owned()),
    };
    let with = EventDescription {
        headers: vec![header],
        ..event("A", 1)
    };
    assert!(compared(&[event("A", 1)], std::slice::from_ref(&with), Compatibility::Full).compatible);
    let gone = compared(&[with], &[event("A", 1)], Compatibility::Full);
    assert_eq!(gone.events[0].differences[0].path, "headers.x-tenant");
    assert!(!gone.compatible);
}

#[test]
fn the_direction_that_is_asked_for_decides() {
    let old = [event("A", 1)];
    let new = [EventDescription {
        schema: Some(object(&["order_id", "total"])),
        ..event("A", 1)
    }];
    for (compatibility, compatible) in [
        (Compatibility::Full, false),
        (Compatibility::Backward, false),
        (Compatibility::Forward, true),
        (Compatibility::None, true),
    ] {
        let report = compared(&old, &new, compatibility);
        assert_eq!(report.compatible, compatible, "{compatibility}");
        assert_eq!(report.events[0].differences.len(), 1);
    }
    let text = compared(&old, &new, Compatibility::Full).to_string();
    for words in [
        "A v1: changed",
        "breaks  $.total: the required field was added",
        "backward: old data lack it, and new readers require it",
        "what to do: make it an `Option`, or give it `#[serde(default)]`; or declare `AV2`",
        "not compatible: 1 events compared, 0 new, 0 not checked, 1 breaking changes",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

#[test]
fn a_new_event_is_reported_and_a_removed_one_breaks() {
    let report = compared(
        &[event("A", 1)],
        &[event("A", 1), event("B", 1)],
        Compatibility::Full,
    );
    assert!(report.compatible);
    assert_eq!(report.events[1].state, EventState::New);
    let report = compared(
        &[event("A", 1), event("B", 1)],
        &[event("A", 1)],
        Compatibility::Full,
    );
    assert!(!report.compatible);
    assert_eq!(report.events[1].state, EventState::Removed);
}

/// `ce_type` is all that a reader sees, so a number alone makes no new version.
#[test]
fn another_number_under_the_same_type_is_the_same_event() {
    let other = EventDescription {
        schema: Some(object(&["id"])),
        ..event("A", 2)
    };
    let report = compared(
        &[event("A", 1)],
        std::slice::from_ref(&other),
        Compatibility::Full,
    );
    assert!(!report.compatible);
    assert_eq!(
        (report.events.len(), report.events[0].compared_with),
        (1, Some(1))
    );

    let beside = compared(
        &[event("A", 1)],
        &[event("A", 1), other.clone()],
        Compatibility::Full,
    );
    assert!(!beside.compatible);

    let apart = EventDescription {
        topic: "orders.v2".to_owned(),
        ..other
    };
    let report = compared(&[event("A", 1)], &[event("A", 1), apart], Compatibility::Full);
    assert!(report.compatible);
    assert_eq!(report.events[1].state, EventState::New);
}

#[test]
fn a_new_version_of_its_own_type_is_a_new_event() {
    let v2 = EventDescription {
        schema: Some(object(&["id"])),
        ..event("OrderPlacedV2", 2)
    };
    let report = compared(
        &[event("OrderPlacedV1", 1)],
        &[event("OrderPlacedV1", 1), v2],
        Compatibility::Full,
    );
    assert!(report.compatible);
    assert_eq!(report.events[1].state, EventState::New);
}

#[test]
fn an_event_without_a_schema_is_named_and_one_that_lost_it_breaks() {
    let without = EventDescription {
        schema: None,
        ..event("A", 1)
    };
    let report = compared(
        &[event("B", 1)],
        &[without.clone(), event("B", 1)],
        Compatibility::Full,
    );
    assert!(report.compatible && report.to_string().contains("A v1: not checked"));
    assert!(!compared(&[event("A", 1)], &[without], Compatibility::Full).compatible);
}

#[test]
fn one_event_in_two_files_is_an_error() {
    let file = SchemaFile::of(&event("A", 1), "shop").unwrap();
    let error = compare(&[file.clone(), file], &catalog(&[]), Compatibility::Full).unwrap_err();
    assert!(
        error.to_string().contains("two files hold `A` version 1"),
        "{error}"
    );
}
