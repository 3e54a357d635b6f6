//! A service on diesel: a handler that places orders, and a relay beside it.

use diesel::{Connection, ExpressionMethods, PgConnection, RunQueryDsl};
use outbox_runtime::writers::{Diesel, Writer};
use outbox_runtime::{OutboxEvent, OutboxMessage, RelayConfig};

use crate::scene::{LIMIT, Scene, ShopError};

diesel::table! {
    orders (id) {
        id -> BigInt,
    }
}

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "shop.order.placed.v1", aggregate = "order", key = order_id)]
struct OrderPlacedV2 {
    order_id: i64,
    total_cents: i64,
}

#[derive(Clone)]
struct Orders {
    url: String,
    writer: Writer<Diesel>,
}

impl Orders {
    /// Places an order. Its event is made here, with the context of the request.
    async fn place(&self, order_id: i64, total_cents: i64) -> Result<(), ShopError> {
        let event = OrderPlacedV2 {
            order_id,
            total_cents,
        };
        let message = OutboxMessage::from_event(&event)?;
        let orders = self.clone();
        let placing = tokio::task::spawn_blocking(move || orders.insert(&event, message));
        placing
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn insert(&self, event: &OrderPlacedV2, message: OutboxMessage) -> Result<(), ShopError> {
        let mut connection = PgConnection::establish(&self.url).expect("the database answers");
        let enqueued = connection.transaction(|connection| {
            diesel::insert_into(orders::table)
                .values(orders::id.eq(event.order_id))
                .execute(connection)?;
            let enqueued = self.writer.enqueue_message(connection, message)?;
            assert!(event.total_cents >= 0, "an order costs something");
            if event.total_cents == 0 {
                return Err(ShopError::Refused);
            }
            Ok(enqueued)
        })?;
        enqueued.wake();
        Ok(())
    }
}

#[tokio::test]
async fn a_diesel_service_delivers_what_it_commits_and_nothing_else() {
    // GIVEN a service, and a relay that looks again only if it is woken
    let scene = Scene::new().await;
    let relay = scene.relay(RelayConfig::new().poll_min(LIMIT * 10).poll_max(LIMIT * 10));
    let orders = Orders {
        url: scene.database.url(),
        writer: Writer::new().waker(scene.waker.clone()),
    };

    // WHEN orders are placed, refused, and end in a panic
    orders.place(1, 1_250).await.unwrap();
    assert!(matches!(orders.place(2, 0).await, Err(ShopError::Refused)));
    let panicking = orders.clone();
    let panicked = tokio::spawn(async move { panicking.place(3, -1).await }).await;
    assert!(panicked.unwrap_err().is_panic());
    orders.place(4, 4_200).await.unwrap();

    // THEN events and rows are those of the orders that were placed
    assert_eq!(scene.orders_and_messages().await, (2, 2));
    let records = scene.records(2).await;
    let values: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8_lossy(record.value.as_ref().unwrap()))
        .collect();
    assert_eq!(
        values,
        [
            r#"{"order_id":1,"total_cents":1250}"#,
            r#"{"order_id":4,"total_cents":4200}"#
        ]
    );
    relay.stop().await.unwrap();
}
