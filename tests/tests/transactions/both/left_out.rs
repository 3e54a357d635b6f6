//! A trigger that leaves rows out: no transaction commits without its events.

use outbox_runtime::{ErrorChain, ErrorKind};

use super::{LEAVES_OUT_THE_13TH, OrderPlacedV1, ShopError, open, orders_with_events, place};

#[tokio::test]
async fn a_transaction_whose_event_a_trigger_leaves_out_is_not_committed() {
    let (_database, outbox) = open().await;
    sqlx::raw_sql(LEAVES_OUT_THE_13TH)
        .execute(outbox.pool())
        .await
        .unwrap();
    for several in [false, true] {
        let refused = outbox
            .transaction(async |tx| {
                place(&mut *tx, 13).await?;
                if several {
                    place(&mut *tx, 14).await?;
                }
                Ok::<_, ShopError>(())
            })
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Database, "several: {several}");
        let text = ErrorChain::new(&refused).to_string();
        assert!(text.contains("a trigger before INSERT"), "{text}");
        assert!(orders_with_events(&outbox).await.is_empty(), "several: {several}");
    }
    place(&outbox, 15).await.unwrap();
    assert_eq!(orders_with_events(&outbox).await, [15]);
}

#[tokio::test]
async fn an_event_that_a_trigger_leaves_out_is_an_error_in_the_callers_transaction() {
    let (_database, outbox) = open().await;
    sqlx::raw_sql(LEAVES_OUT_THE_13TH)
        .execute(outbox.pool())
        .await
        .unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    let one = OrderPlacedV1 { order_id: 13 };
    assert_eq!(
        outbox.enqueue(&mut tx, &one).await.unwrap_err().kind(),
        ErrorKind::Database
    );
    let several: Vec<_> = (10..20).map(|order_id| OrderPlacedV1 { order_id }).collect();
    let refused = outbox.enqueue_all(&mut tx, &several).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Database);
}
