//! What is in the table.

use chrono::{DateTime, TimeZone, Utc};
use outbox_runtime::{Outbox, OutboxEvent, Payload};
use serde::Serialize;
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
    let select = "SELECT seq, payload::text, payload_binary, headers FROM outbox_messages WHERE id = $1";
    let row = sqlx::query(select)
        .bind(id)
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
        headers: row.get(3),
    }
}

#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = "shop.{region}.order",
    aggregate = "order",
    key = order.id,
    source = "/shop",
    content_type = "application/vnd.shop+json",
    occurred_at = at,
    correlation_id = correlation,
    headers("x-tenant" = tenant, "x-kind" = "batch", "x-none" = none)
)]
#[serde(rename_all = "camelCase")]
struct OrderMovedV3<'a> {
    region: &'a str,
    order: Order,
    at: DateTime<Utc>,
    correlation: Option<Uuid>,
    tenant: &'a str,
    #[serde(skip)]
    none: Option<String>,
}

#[derive(Serialize)]
struct Order {
    id: u64,
}

#[tokio::test]
async fn every_column_is_as_the_event_says() {
    let (_database, outbox) = open_with(2).await;
    let at = Utc.timestamp_nanos(1_700_000_000_123_456_789);
    let event = OrderMovedV3 {
        region: "eu",
        order: Order { id: 9 },
        at,
        correlation: Some(Uuid::from_u128(5)),
        tenant: "acme",
        none: None,
    };
    for copies in [1, 2] {
        sqlx::query("TRUNCATE outbox_messages")
            .execute(outbox.pool())
            .await
            .unwrap();
        let events = vec![&event; copies];
        outbox
            .transaction(async |tx| tx.emit_all(events).map(|_| ()))
            .await
            .unwrap();
        let rows = sqlx::query(
            "SELECT aggregate_type, aggregate_id, event_type, topic, payload::text, content_type, source, \
             headers::text, occurred_at, xid::text = txid_current_if_assigned()::text FROM outbox_messages",
        );
        for row in rows.fetch_all(outbox.pool()).await.unwrap() {
            let texts: Vec<String> = (0..8).map(|column| row.get(column)).collect();
            let correlation = Uuid::from_u128(5);
            let payload = format!(
                r#"{{"region":"eu","order":{{"id":9}},"at":"2023-11-14T22:13:20.123456789Z","correlation":"{correlation}","tenant":"acme"}}"#
            );
            let headers =
                format!(r#"{{"x-kind": "batch", "x-tenant": "acme", "ce_correlationid": "{correlation}"}}"#);
            let expected = [
                "order",
                "9",
                "OrderMovedV3",
                "shop.eu.order",
                &payload,
                "application/vnd.shop+json",
                "/shop",
                &headers,
            ];
            assert_eq!(texts, expected);
            assert_eq!(
                row.get::<DateTime<Utc>, _>(8),
                Utc.timestamp_nanos(1_700_000_000_123_456_000)
            );
        }
    }
}
