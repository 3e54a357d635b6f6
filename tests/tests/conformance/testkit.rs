//! The test kit for services, on the real servers.

use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
use serde::{Deserialize, Serialize};
use sqlx::Postgres;

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.order.placed.v1", aggregate = "order", key = order_id, headers("x-tenant" = tenant))]
struct TestkitOrderPlacedV1 {
    order_id: i64,
    tenant: String,
}

fn placed(order_id: i64) -> TestkitOrderPlacedV1 {
    TestkitOrderPlacedV1 {
        order_id,
        tenant: "acme".to_owned(),
    }
}

#[transactional]
async fn place(tx: &mut OutboxTx<'_, Postgres>, order_id: i64) -> Result<(), outbox_runtime::Error> {
    tx.emit(placed(order_id)).map(drop)
}

#[tokio::test]
async fn a_test_outbox_works_on_real_servers_and_leaves_nothing_behind() {
    let test = TestOutbox::<Postgres>::new()
        .await
        .with_broker(&TestBroker::kafka().await);
    test.fail_before_commit();
    place(test.outbox(), 6).await.expect_err("the connection breaks");
    place(test.outbox(), 7).await.expect("it commits");
    let emitted = test
        .assert_emitted::<TestkitOrderPlacedV1>(|event| event.order_id == 7)
        .await;
    assert_eq!(emitted.header("x-tenant"), Some("acme"));
    test.assert_nothing_else().await;
    assert_eq!(test.relay_until_empty().await.delivered, 1);
    // Its own event, though other runs have left some in the topic.
    let consumed = test.consume::<TestkitOrderPlacedV1>(1).await;
    assert_eq!(consumed, [placed(7)]);
    let id = emitted.message().id().to_string();
    assert_eq!(consumed[0].record().header("ce_id"), Some(&*id));

    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(test.pool())
        .await
        .expect("the database has a name");
    drop(test);
    let others = TestOutbox::<Postgres>::new().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(others.pool())
        .await
        .expect("databases are listed");
    assert_eq!(left, 0, "{name} is left behind");
}
