//! Mode `shadow`: what the outbox would send goes elsewhere, and a switch waits for what the service publishes itself.

use std::time::Duration;

use outbox_runtime::Error;
use outbox_runtime::modes::{Mode, ModeScope, ShadowTarget};
use outbox_runtime::store::{SwitchError, SwitchRefusal};

use crate::scene::{Scene, emit, message};

#[derive(Clone, serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order)]
struct OrderPlacedV1 {
    order: i64,
}

fn orders() -> ModeScope {
    ModeScope::Topic("orders".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_goes_to_its_own_topic_or_nowhere() {
    let scene = Scene::new().await;
    scene.set(orders(), Some(Mode::Shadow)).await.unwrap();
    emit(&scene.outbox(), &[message("orders", "a"), message("others", "a")])
        .await
        .unwrap();
    assert_eq!(
        (
            scene.rows_of("orders.shadow").await,
            scene.rows_of("others").await
        ),
        (1, 1)
    );
    let elsewhere = scene.outbox_with(|modes| modes.shadow(ShadowTarget::Suffix("-copy".to_owned())));
    emit(&elsewhere, &[message("orders", "a")]).await.unwrap();
    assert_eq!(scene.rows_of("orders-copy").await, 1);
    let nowhere = scene.outbox_with(|modes| modes.shadow(ShadowTarget::Nowhere));
    emit(&nowhere, &[message("orders", "a")]).await.unwrap();
    // In a transaction of the caller's too.
    let mut tx = scene.pool().begin().await.unwrap();
    let enqueued = scene
        .outbox()
        .enqueue(&mut tx, OrderPlacedV1 { order: 1 })
        .await
        .unwrap();
    tx.commit().await.unwrap();
    enqueued.wake();
    assert_eq!(scene.rows_of("orders.shadow").await, 2);
    assert_eq!(scene.count("outbox_messages").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_waits_for_what_the_service_publishes_itself() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    let placed = async || {
        outbox
            .transaction(async |tx| {
                let event = OrderPlacedV1 { order: 1 };
                let own = tx.own_publishing(&event).await?;
                tx.emit(event)?;
                Ok::<_, Error>(own)
            })
            .await
            .unwrap()
    };
    assert!(placed().await.is_none(), "the outbox publishes it");
    let relay = scene.relay();
    scene.set(orders(), Some(Mode::Shadow)).await.unwrap();
    let (own, other) = (placed().await.unwrap(), placed().await.unwrap());
    drop(other);
    match scene
        .set_within(orders(), Some(Mode::Outbox), Duration::from_millis(500))
        .await
    {
        Err(SwitchError::Refused(SwitchRefusal::Sending(holders))) => assert_eq!(holders.len(), 1),
        other => panic!("{other:?}"),
    }
    drop(own);
    assert!(scene.set(orders(), Some(Mode::Outbox)).await.unwrap());
    assert!(placed().await.is_none());
    relay.stop().await.unwrap();
}
