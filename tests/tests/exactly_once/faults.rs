//! Relays that sleep through their lease, and servers that freeze, die and come back, while writers write.

use std::time::Duration;

use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::servers::{self, KafkaServer, PostgresServer};
use outbox_tests::wait_until;
use outbox_tests::writers::{Ledger, RunningWriters, Writers};
use rustix::process::Signal;
use sqlx::PgPool;

use crate::scene::{Address, LEASE, LIMIT, Scene, number, numbers, seen};

/// The holder of the lease sleeps for twice the lease while another takes over, and wakes up.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_paused_does_no_harm() {
    let scene = Scene::new(2).await;
    let writers = scene
        .writers(u64::MAX)
        .pause(Duration::from_millis(40))
        .start()
        .await;
    let relays = [scene.address.relay(), scene.address.relay()];
    for paused in relays.iter().cycle().take(3) {
        tokio::time::sleep(LEASE).await;
        paused.signal(Signal::STOP);
        tokio::time::sleep(2 * LEASE).await;
        paused.signal(Signal::CONT);
    }
    let ledger = writers.stop().await;
    for relay in relays {
        relay.stop().await.done();
    }
    let report = scene.verdict(&ledger).await;
    assert!(report.is_exact(), "{report}");
}

/// One relay stopped at a step by itself, another one that works on, and the first one awake again.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_commits_nothing_any_more() {
    for step in [
        "transaction_sent=stop:1",
        "window_begun=stop:1",
        "broker_cursor_read=stop:1",
        "cursor_claimed=stop:1",
    ] {
        let scene = Scene::new(1).await;
        let topic = scene.topics[0].clone();
        scene.insert(&topic, 0..100).await;
        let zombie = scene.address.relay_with(step);
        let held = "count(*) FROM outbox_lease WHERE token IS NOT NULL";
        wait_until("the lease to be held", LIMIT, async || {
            (scene.number(held).await == 1).then_some(())
        })
        .await;
        // It waits until the lease runs out.
        assert_eq!(
            scene.address.drain("exactly-once").await.done(),
            "delivered 100 messages\n",
            "{step}"
        );
        scene.insert(&topic, 100..200).await;
        let mut other = scene.address.relay();
        other.says("delivering exactly once").await;
        zombie.signal(Signal::CONT);
        scene.insert(&topic, 200..300).await;
        crate::scene::until_seen(&topic, 300).await;
        other.stop().await.done();
        zombie.stop().await.done();
        assert_eq!(numbers(&topic).await, (0..300).collect::<Vec<_>>(), "{step}");
    }
}

/// Servers of a test's own, in order to break them.
struct Servers {
    postgres: PostgresServer,
    kafka: KafkaServer,
    address: Address,
    topics: Vec<Topic>,
    pool: PgPool,
}

impl Servers {
    async fn start() -> Self {
        let (postgres, kafka, pool) = servers::pair().await;
        let mut address = Address::new(&postgres.url());
        address.brokers = kafka.brokers();
        let topics = vec![Topic::create_at(&kafka.brokers(), "once-faults", 3, &[]).await];
        Self {
            postgres,
            kafka,
            address,
            topics,
            pool,
        }
    }

    async fn writers(&self, transactions: u64) -> RunningWriters {
        let writers = Writers::on(&self.pool, self.topics.iter().map(Topic::name)).transactions(transactions);
        writers
            .pause(Duration::from_millis(30))
            .through_faults()
            .start()
            .await
    }

    async fn delivered(&self) -> usize {
        seen(&self.address.brokers, &self.topics).await.len()
    }

    async fn until_more(&self) {
        let before = self.delivered().await;
        wait_until("records to be committed", LIMIT, async || {
            (self.delivered().await > before).then_some(())
        })
        .await;
    }

    /// The relay that lived through it delivers everything by itself; nothing is in the dead letters.
    async fn verdict(&self, relay: Running, ledger: &Ledger) {
        let committed = ledger.committed.len();
        wait_until("the relay to deliver everything by itself", LIMIT, async || {
            (self.delivered().await >= committed).then_some(())
        })
        .await;
        relay.stop().await.done();
        self.address.drain("exactly-once").await.done();
        let report = ledger.check(&seen(&self.address.brokers, &self.topics).await);
        assert!(report.is_exact(), "{report}");
        assert_eq!(number(&self.pool, "count(*) FROM outbox_dead_letters").await, 0);
    }
}

/// Longer than a transaction may take, so that the broker aborts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_or_dies_is_waited_for() {
    let mut servers = Servers::start().await;
    let writers = servers.writers(2_000).await;
    let relay = servers.address.relay();
    servers.until_more().await;
    servers.kafka.freeze();
    tokio::time::sleep(Duration::from_secs(15)).await;
    servers.kafka.thaw();
    servers.until_more().await;
    servers.kafka.kill();
    tokio::time::sleep(Duration::from_secs(5)).await;
    servers.kafka.restart().await;
    servers.until_more().await;
    servers.kafka.stop().await;
    servers.kafka.restart().await;
    let ledger = writers.finish().await;
    servers.verdict(relay, &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_or_cuts_connections_is_waited_for() {
    let mut servers = Servers::start().await;
    let writers = servers.writers(2_000).await;
    let relay = servers.address.relay();
    servers.until_more().await;
    for round in 0..6 {
        match round % 3 {
            0 => servers.postgres.kill(),
            1 => servers.postgres.stop().await,
            _ => {
                servers.postgres.terminate_connections().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        }
        servers.postgres.restart().await;
        servers.until_more().await;
    }
    let ledger = writers.finish().await;
    servers.verdict(relay, &ledger).await;
}
