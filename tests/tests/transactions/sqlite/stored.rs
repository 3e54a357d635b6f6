//! What is in the table.

use chrono::{TimeZone, Utc};
use outbox_runtime::{Outbox, OutboxMessage, Payload};
use sqlx::Row;
use uuid::Uuid;

use super::{Db, open_with};

/// A message as it is stored.
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) payload: Payload,
    pub(crate) headers: serde_json::Value,
}

pub(crate) async fn by_id(outbox: &Outbox<Db>, id: Uuid) -> Stored {
    let select = "SELECT seq, payload, payload_binary, headers FROM outbox_messages WHERE id = ?";
    let row = sqlx::query(select)
        .bind(id.hyphenated().to_string())
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    let payload = match (row.get::<Option<String>, _>(1), row.get::<Option<Vec<u8>>, _>(2)) {
        (Some(text), None) => Payload::Json(text),
        (None, Some(bytes)) => Payload::Binary(bytes),
        (None, None) => Payload::Tombstone,
        both => panic!("two payloads: {both:?}"),
    };
    Stored {
        seq: row.get(0),
        payload,
        headers: serde_json::from_str(row.get(3)).unwrap(),
    }
}

#[tokio::test]
async fn ids_and_times_have_one_form() {
    let (_database, outbox) = open_with(1).await;
    let message = OutboxMessage::builder("notes", "k")
        .event_type("T")
        .aggregate_type("a")
        .source("/s");
    let at = Utc.timestamp_nanos(1_700_000_000_123_456_789);
    let message = message
        .id(Uuid::from_u128(0xAB))
        .occurred_at(at)
        .header("b", "1")
        .header("a", "2")
        .build();
    outbox
        .transaction(async |tx| tx.emit_message(message))
        .await
        .unwrap();
    let row =
        sqlx::query("SELECT id, occurred_at, headers, source FROM outbox_messages").fetch_one(outbox.pool());
    let row = row.await.unwrap();
    let texts: Vec<String> = (0..4).map(|column| row.get(column)).collect();
    let expected = [
        "00000000-0000-0000-0000-0000000000ab",
        "2023-11-14T22:13:20.123Z",
        r#"{"b":"1","a":"2"}"#,
        "/s",
    ];
    assert_eq!(texts, expected);
}
