//! What is refused at emit, and what becomes of an id and a context.

use outbox_runtime::{ErrorKind, EventContext, Outbox, OutboxEvent, OutboxMessage, Payload};
use serde::Serialize;
use uuid::Uuid;

use super::{Db, OrderPlacedV1, ShopError, open};

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "shop.{region}", aggregate = "note", key = key, headers("x-kind" = kind))]
struct NoteAddedV1 {
    region: &'static str,
    key: &'static str,
    kind: &'static str,
    text: String,
}

fn note() -> NoteAddedV1 {
    NoteAddedV1 {
        region: "eu",
        key: "k",
        kind: "plain",
        text: String::new(),
    }
}

async fn refused(outbox: &Outbox<Db>, note: NoteAddedV1) -> (ErrorKind, String) {
    let refused = outbox
        .transaction(async |tx| Ok::<_, ShopError>(tx.emit(note)?))
        .await
        .unwrap_err();
    (refused.kind(), refused.to_string())
}

#[tokio::test]
async fn what_cannot_be_stored_fails_at_emit() {
    let (database, _) = open().await;
    let outbox = Outbox::builder(database.pool.clone())
        .max_payload_bytes(100)
        .build();
    let cases = [
        (
            NoteAddedV1 {
                text: "x".repeat(100),
                ..note()
            },
            "limit of 100 bytes",
        ),
        (NoteAddedV1 { key: "", ..note() }, "empty key"),
        (
            NoteAddedV1 {
                region: "é",
                ..note()
            },
            "Kafka refuses",
        ),
        (NoteAddedV1 { key: "a\0", ..note() }, "NUL"),
        (
            NoteAddedV1 {
                kind: "a\0",
                ..note()
            },
            "x-kind",
        ),
    ];
    for (note, says) in cases {
        let (kind, message) = refused(&outbox, note).await;
        assert!(
            message.contains("NoteAddedV1") && message.contains(says),
            "{kind:?}: {message}"
        );
    }
    // The limit itself is allowed.
    let fits = NoteAddedV1 {
        text: String::new(),
        ..note()
    };
    let size = fits.payload().unwrap().len();
    let text = "x".repeat(100 - size);
    outbox
        .transaction(async |tx| tx.emit(NoteAddedV1 { text, ..note() }))
        .await
        .unwrap();
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "readings", aggregate = "sensor", key = sensor, occurred_at = at)]
struct MeasuredV1 {
    sensor: String,
    ratio: f64,
    series: std::collections::BTreeMap<String, Vec<Option<f32>>>,
    at: chrono::DateTime<chrono::Utc>,
}

fn measured() -> MeasuredV1 {
    MeasuredV1 {
        sensor: "s".to_owned(),
        ratio: 0.5,
        series: [("a".to_owned(), vec![None, Some(1.5)])].into(),
        at: chrono::Utc::now(),
    }
}

#[tokio::test]
async fn numbers_that_json_has_not_fail_at_emit() {
    let (_database, outbox) = open().await;
    let in_series = |number| [("a".to_owned(), vec![None, Some(number)])].into();
    let cases = [
        (
            MeasuredV1 {
                ratio: f64::NAN,
                ..measured()
            },
            "the number NaN in the field `ratio`",
        ),
        (
            MeasuredV1 {
                ratio: f64::NEG_INFINITY,
                ..measured()
            },
            "-inf",
        ),
        (
            MeasuredV1 {
                series: in_series(f32::NAN),
                ..measured()
            },
            "`series`",
        ),
        (
            MeasuredV1 {
                series: in_series(f32::INFINITY),
                ..measured()
            },
            "inf",
        ),
    ];
    for (event, says) in cases {
        let refused = outbox
            .transaction(async |tx| Ok::<_, ShopError>(tx.emit(&event)?))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Payload);
        let text = refused.to_string();
        assert!(text.contains("MeasuredV1") && text.contains(says), "{text}");
    }
    let ids = outbox.transaction(async |tx| tx.emit(measured())).await;
    assert!(ids.is_ok());
}

#[tokio::test]
async fn a_missing_table_is_reported_with_the_command_that_makes_it() {
    let (_database, outbox) = open().await;
    sqlx::query("DROP TABLE outbox_messages")
        .execute(outbox.pool())
        .await
        .unwrap();
    let failed = outbox
        .transaction(async |tx| Ok::<_, ShopError>(tx.emit(measured())?))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Database);
    assert!(
        failed.to_string().contains("`outbox migrate --database-url"),
        "{failed}"
    );
    let mut tx = outbox.pool().begin().await.unwrap();
    let failed = outbox.enqueue(&mut tx, measured()).await.unwrap_err();
    assert!(
        failed.to_string().contains("`outbox migrate --database-url"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_refused_event_leaves_the_transaction_good() {
    let (_database, outbox) = open().await;
    outbox
        .transaction(async |tx| {
            let events = [note(), NoteAddedV1 { key: "", ..note() }];
            assert_eq!(tx.emit_all(events).unwrap_err().kind(), ErrorKind::EmptyKey);
            tx.emit(note())
        })
        .await
        .unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn an_id_can_be_given() {
    let (_database, outbox) = open().await;
    let own = Uuid::from_u128(7);
    let ids = outbox
        .transaction(async |tx| {
            let first = tx.emit_with_id(own, OrderPlacedV1 { order_id: 1 })?;
            let second = tx.emit(OrderPlacedV1 { order_id: 2 })?;
            let message = OutboxMessage::builder("notes", "k")
                .event_type("T")
                .aggregate_type("a");
            let third = tx.emit_message(message.payload(Payload::Binary(vec![0, 159])).build())?;
            Ok::<_, ShopError>([first, second, third])
        })
        .await
        .unwrap();
    assert_eq!(ids[0], own);
    assert_eq!(ids[1].get_version_num(), 7);
    for (position, id) in ids.into_iter().enumerate() {
        let message = super::super::stored::by_id(&outbox, id).await;
        assert_eq!(message.seq, position as i64 + 1);
    }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_context_is_stored_with_the_event() {
    let (_database, outbox) = open().await;
    let around = EventContext::new()
        .correlation_id("around")
        .trace(TRACE, Some("v=1"));
    let emit_two = outbox.transaction(async |tx| {
        let inherited = tx.emit(OrderPlacedV1 { order_id: 1 })?;
        tx.set_context(EventContext::new().correlation_id("set"));
        Ok::<_, ShopError>([inherited, tx.emit(OrderPlacedV1 { order_id: 2 })?])
    });
    let [inherited, set] = EventContext::scope(around, emit_two).await.unwrap();
    let headers = super::super::stored::by_id(&outbox, inherited).await.headers;
    let expected =
        serde_json::json!({ "ce_correlationid": "around", "traceparent": TRACE, "tracestate": "v=1" });
    assert_eq!(headers, expected);
    let headers = super::super::stored::by_id(&outbox, set).await.headers;
    assert_eq!(headers, serde_json::json!({ "ce_correlationid": "set" }));
}
