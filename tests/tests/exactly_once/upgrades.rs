//! A rolling upgrade: the tables become of a later version while relays of this one are at work.

use outbox_tests::NextTables;
use sqlx::AssertSqlSafe;

use crate::scene::{Scene, numbers, until_seen};

async fn migrate(scene: &Scene, next: NextTables) {
    sqlx::raw_sql(AssertSqlSafe(next.migration()))
        .execute(scene.pool())
        .await
        .unwrap();
}

/// They look at the version some seconds after their start: once the other relay has ended, this one has looked, too.
#[tokio::test(flavor = "multi_thread")]
async fn relays_go_on_if_they_may_and_end_if_not() {
    let (scene, other) = (Scene::new(1).await, Scene::new(1).await);
    let topic = scene.topics[0].clone();
    let (mut active, mut ending) = (scene.address.relay(), other.address.relay());
    for relay in [&mut active, &mut ending] {
        relay.says("delivering exactly once").await;
    }
    scene.insert(&topic, 0..100).await;
    until_seen(&topic, 100).await;
    migrate(&scene, NextTables::LeaveThisOne).await;
    migrate(&other, NextTables::LeaveNone).await;
    let next = NextTables::VERSION.to_string();
    ending
        .ended()
        .await
        .fails(1, &["newer version", &format!("have version {next}")]);

    // A standby starts with the new tables, and takes over when the active one dies.
    let mut standby = scene.address.relay();
    standby.says("standing by").await;
    scene.insert(&topic, 100..200).await;
    until_seen(&topic, 200).await;
    active.kill().await;
    scene.insert(&topic, 200..300).await;
    until_seen(&topic, 300).await;
    standby.stop().await.done();
    assert_eq!(numbers(&topic).await, (0..300).collect::<Vec<_>>());
}
