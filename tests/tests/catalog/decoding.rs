//! From records back to events.

use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::{Catalog, DecodeError, EncodedEvent};
use outbox_runtime::record::OutboxRecord;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[serde(rename_all = "camelCase")]
#[outbox(topic = "decoding.{region}", aggregate = "a", key = order_id)]
struct DecodedV1 {
    order_id: u8,
    region: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "decoding.enum", aggregate = "a", key = id, content_type = "application/vnd.shop.test+json")]
enum Decoded {
    DecodedUpV1 { id: u8 },
    DecodedDownV1 { id: u8 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "decoding.generic", aggregate = "a", key = id, instances(DecodedForm<u8>))]
struct DecodedForm<T> {
    id: T,
}

/// What a relay reads from the log for this event.
fn stored<'a>(event: &impl OutboxEvent, text: &'a mut [String; 3]) -> OutboxRecord<'a> {
    let outbox_runtime::Payload::Json(payload) = event.payload().unwrap() else {
        panic!("not JSON")
    };
    *text = [
        event.event_type().into_owned(),
        event.content_type().into_owned(),
        payload,
    ];
    OutboxRecord {
        seq: 1,
        id: uuid::Uuid::nil(),
        topic: "t",
        key: "k",
        event_type: &text[0],
        content_type: &text[1],
        source: None,
        headers: "{}",
        payload: Some(text[2].as_bytes()),
        occurred_at_ms: 0,
    }
}

#[test]
fn a_stored_record_is_the_event_that_was_emitted() {
    let catalog = Catalog::global();
    let mut text = Default::default();
    let event = DecodedV1 {
        order_id: 7,
        region: "eu".into(),
    };
    assert_eq!(
        catalog.decode::<DecodedV1>(&stored(&event, &mut text)).unwrap(),
        event
    );
    let event = Decoded::DecodedDownV1 { id: 7 };
    assert_eq!(
        catalog.decode::<Decoded>(&stored(&event, &mut text)).unwrap(),
        event
    );
    let event = DecodedForm { id: 7_u8 };
    assert_eq!(
        catalog
            .decode::<DecodedForm<u8>>(&stored(&event, &mut text))
            .unwrap(),
        event
    );
}

#[test]
fn a_consumed_record_is_its_headers_and_its_value() {
    let headers = [
        ("ce_id".to_owned(), Some(b"1".as_slice())),
        ("ce_type".to_owned(), Some(b"DecodedV1".as_slice())),
        ("content-type".to_owned(), Some(b"application/json".as_slice())),
    ];
    let payload = br#"{"orderId":7,"region":"eu","later":true}"#;
    let record = EncodedEvent::from_headers(headers, Some(payload)).unwrap();
    assert_eq!(Catalog::global().decode::<DecodedV1>(record).unwrap().order_id, 7);
}

#[test]
fn what_is_not_the_event_is_an_error() {
    let catalog = Catalog::global();
    let record = EncodedEvent {
        event_type: "DecodedV1",
        content_type: "application/json",
        payload: Some(br#"{"orderId":"seven"}"#),
    };
    let error = catalog.decode::<DecodedV1>(record).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Payload { event_type, .. } if event_type == "DecodedV1"),
        "{error}"
    );
    let error = catalog.decode::<Decoded>(record).unwrap_err();
    assert!(
        error.to_string().contains("`DecodedDownV1`, `DecodedUpV1`"),
        "{error}"
    );
    let error = catalog
        .decode::<DecodedV1>(EncodedEvent {
            payload: None,
            ..record
        })
        .unwrap_err();
    assert!(matches!(error, DecodeError::Tombstone { .. }), "{error}");
    let binary = EncodedEvent {
        content_type: "application/protobuf",
        ..record
    };
    let error = catalog.decode::<DecodedV1>(binary).unwrap_err();
    assert!(matches!(error, DecodeError::NotJson { .. }), "{error}");
    let error = catalog.decode::<DecodedForm<u16>>(record).unwrap_err();
    assert!(matches!(error, DecodeError::NotAnEvent { .. }), "{error}");
}

#[test]
fn events_are_found_by_type_and_by_topic() {
    let catalog = Catalog::global();
    assert_eq!(catalog.get("DecodedV1", 1).unwrap().topic(), "decoding.{region}");
    assert!(catalog.get("DecodedV1", 2).is_none());
    let types = |topic: &str| {
        catalog
            .by_topic(topic)
            .map(|event| event.event_type())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        types("decoding.enum"),
        ["DecodedDownV1", "DecodedUpV1", "DecodedV1"]
    );
    assert_eq!(types("decoding.eu"), ["DecodedV1"]);
    assert_eq!(types("decoding"), [""; 0]);
    assert!(
        catalog
            .iter()
            .is_sorted_by_key(|event| (event.event_type(), event.version()))
    );
}
