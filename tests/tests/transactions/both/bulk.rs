//! Many events in one transaction.

use outbox_runtime::{OutboxMessage, Payload};

use super::{OrderPlacedV1, ShopError, open};

#[tokio::test]
async fn ten_thousand_events_keep_their_order() {
    let (_database, outbox) = open().await;
    let ids = outbox
        .transaction(async |tx| {
            Ok::<_, ShopError>(tx.emit_all((1..=10_000).map(|order_id| OrderPlacedV1 { order_id }))?)
        })
        .await
        .unwrap();
    assert_eq!(ids.len(), 10_000);
    let keys: Vec<String> = sqlx::query_scalar("SELECT aggregate_id FROM outbox_messages ORDER BY seq")
        .fetch_all(outbox.pool())
        .await
        .unwrap();
    assert!(keys.iter().map(|key| key.parse::<i64>().unwrap()).eq(1..=10_000));
}

#[tokio::test]
async fn messages_of_all_sorts_go_into_one_statement() {
    let (_database, outbox) = open().await;
    let message = || {
        OutboxMessage::builder("notes", "k")
            .event_type("T")
            .aggregate_type("a")
    };
    let payloads = [
        Payload::Json("{\"b\": 1,  \"a\": \"\\u0000 'q\\\"'\"}".to_owned()),
        Payload::Binary(vec![0, 255, 39]),
        Payload::Tombstone,
    ];
    let ids = outbox
        .transaction(async |tx| {
            let ids = payloads
                .clone()
                .map(|payload| tx.emit_message(message().payload(payload).build()));
            ids.into_iter().collect::<Result<Vec<_>, _>>()
        })
        .await
        .unwrap();
    for (id, payload) in ids.into_iter().zip(payloads) {
        assert_eq!(super::super::stored::by_id(&outbox, id).await.payload, payload);
    }
}
