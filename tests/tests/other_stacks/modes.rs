//! What a mode means for events that another stack writes.

use outbox_runtime::RelayConfig;
use outbox_runtime::Tables;
use outbox_runtime::modes::{Mode, ModeScope};
use outbox_runtime::store::{Controls, Decision};

use crate::scene::{End, LIMIT, Scene, Stack, What};
use crate::tokio_postgres::Shop;

#[tokio::test]
async fn events_of_other_stacks_go_through_the_log_in_each_mode() {
    let scene = Scene::new().await;
    let relay = scene.relay(RelayConfig::new());
    let mut shop: Shop = scene.stack().await;
    let controls = Controls::in_postgres(scene.pool(), &Tables::default());
    let why = Decision::new("ana", "a test");
    for (round, mode) in (1..).zip([Mode::Direct, Mode::Shadow, Mode::Outbox]) {
        controls
            .set_mode(&ModeScope::Log, Some(mode), &why, LIMIT)
            .await
            .unwrap();
        shop.place(round, What::Event, End::Commit).await.unwrap();
        let records = scene.records(usize::try_from(round).unwrap()).await;
        let last = records.last().unwrap();
        assert_eq!(
            (last.topic.as_str(), &last.key),
            ("shop.order.placed.v1", &round.to_string())
        );
        assert_eq!(scene.count("outbox_messages").await, round, "{mode}");
    }
    relay.stop().await.unwrap();
}
