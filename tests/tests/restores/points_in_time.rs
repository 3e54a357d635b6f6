//! A database that goes back to an earlier point in time: a point-in-time restore, and a replica that lagged behind and
//! was promoted. The relay that was at work lives on.

use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::servers::{BaseBackup, PostgresServer, PostgresVersion, brokers};
use outbox_tests::wait_until;

use crate::scene::{
    LIMIT, connect, insert, log_at, number, numbers, outbox, range, relay, relay_all, until_arrived,
    until_settled,
};

const VERSION: PostgresVersion = PostgresVersion::Distribution;

/// 0 to 10 are delivered and marked so, 10 to 20 are committed: what the database goes back to.
async fn committed(url: &str, topic: &Topic) {
    let pool = log_at(url).await;
    let relay = relay(url, &brokers());
    insert(&pool, topic, 0..10).await;
    until_settled(url, 10).await;
    relay.stop().await.done();
    insert(&pool, topic, 10..20).await;
    pool.close().await;
}

/// A relay has sent more than the database will remember.
async fn sent(url: &str, topic: &Topic) -> Running {
    let relay = relay(url, &brokers());
    let pool = connect(url).await;
    insert(&pool, topic, 1_000..1_010).await;
    until_settled(url, 30).await;
    pool.close().await;
    relay
}

/// The relay lives on: what the database still has arrives, only what it had not marked as delivered comes twice,
/// and that is reported.
async fn goes_on(relay: Running, server: &PostgresServer, topic: &Topic) {
    let pool = connect(&server.url()).await;
    let left = number(&pool, "count(*) FROM outbox_messages").await;
    assert_eq!(left, 20, "the database lost nothing, or too much");
    // Written with the seqs and in part the transaction ids of what was lost.
    insert(&pool, topic, 20..40).await;
    until_arrived(topic, &range(0..40)).await;
    until_settled(&server.url(), 40).await;
    let ran = relay.stop().await;
    let log = ran.stderr.clone();
    let summary = ran.done();
    assert!(log.contains("restored to an earlier state"), "{log}");
    assert!(summary.contains("may be delivered twice"), "{summary}");
    assert_eq!(relay_all(&server.url()).await.done(), "delivered 0 messages\n");
    let all = numbers(topic).await;
    let times = |number: u32| all.iter().filter(|other| **other == number).count();
    for number in 0..40 {
        let at_most = if (10..20).contains(&number) { 2 } else { 1 };
        assert!(
            (1..=at_most).contains(&times(number)),
            "{number} came {} times",
            times(number)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_restore_goes_on_by_itself() {
    let server = PostgresServer::start_archiving(VERSION.bin()).await;
    let (backup, topic) = (
        server.base_backup().await,
        Topic::create("restored-point", 2).await,
    );
    let url = server.url();
    committed(&url, &topic).await;
    BaseBackup::mark(&server).await;
    let relay = sent(&url, &topic).await;
    let restored = backup.recover(server).await;
    goes_on(relay, &restored, &topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_lagged_behind_goes_on_by_itself() {
    let server = PostgresServer::start(VERSION).await;
    let (mut standby, topic) = (server.standby().await, Topic::create("lagging", 2).await);
    let url = server.url();
    committed(&url, &topic).await;
    server.until_it_has_all(&standby).await;
    standby.stop().await;
    let relay = sent(&url, &topic).await;
    standby.take_place_of(server).await;
    goes_on(relay, &standby, &topic).await;
}

/// A replica that had everything: nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_had_all_doubles_nothing() {
    let server = PostgresServer::start(VERSION).await;
    let (mut standby, topic) = (server.standby().await, Topic::create("failed-over", 2).await);
    let url = server.url();
    committed(&url, &topic).await;
    let relay = sent(&url, &topic).await;
    server.until_it_has_all(&standby).await;
    standby.stop().await;
    standby.take_place_of(server).await;
    let pool = connect(&url).await;
    insert(&pool, &topic, 20..40).await;
    until_arrived(&topic, &range(20..40)).await;
    relay.stop().await.done();
    assert_eq!(
        numbers(&topic).await,
        [range(0..40), range(1_000..1_010)].concat()
    );
}

/// A relay that is pointed at a hot standby waits there, and sends nothing, until it is promoted.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_cannot_be_written_is_waited_for() {
    let server = PostgresServer::start(VERSION).await;
    let topic = Topic::create("standby", 2).await;
    committed(&server.url(), &topic).await;
    let standby = server.standby().await;
    let mut relay = relay(&standby.url(), &brokers());
    relay.says("it is a standby").await;
    let adopt = outbox(&format!("adopt -D {}", standby.url())).await;
    adopt.fails(1, &["it is a standby"]);
    assert_eq!(numbers(&topic).await, range(0..10));
    standby.promote().await;
    until_arrived(&topic, &range(0..20)).await;
    relay.stop().await.done();
    assert_eq!(numbers(&topic).await, range(0..20));
}

/// A standby that lags behind, or a server that is being restored, may not have the tables yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_has_no_tables_yet_is_waited_for() {
    let server = PostgresServer::start(VERSION).await;
    let topic = Topic::create("standby", 2).await;
    let standby = server.standby().await;
    let replay = connect(&standby.url()).await;
    number(&replay, "1::bigint FROM pg_wal_replay_pause()").await;
    wait_until("the replay to pause", LIMIT, async || {
        let paused = "count(*) FROM pg_get_wal_replay_pause_state() AS state WHERE state = 'paused'";
        (number(&replay, paused).await == 1).then_some(())
    })
    .await;
    committed(&server.url(), &topic).await;
    let mut relay = relay(&standby.url(), &brokers());
    relay.says("it is a standby").await;
    number(&replay, "1::bigint FROM pg_wal_replay_resume()").await;
    replay.close().await;
    server.until_it_has_all(&standby).await;
    standby.promote().await;
    until_arrived(&topic, &range(0..20)).await;
    relay.stop().await.done();
    assert_eq!(numbers(&topic).await, range(0..20));
}
