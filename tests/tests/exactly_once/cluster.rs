//! Three brokers: what is behind the cursor's topic and the transactions goes away, and comes back.

use std::path::PathBuf;

use outbox_tests::kafka::Topic;
use outbox_tests::program::Running;
use outbox_tests::servers::KafkaCluster;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::Postgres;

use crate::scene::{Address, LIMIT, insert, numbers, until_seen};

struct Cluster {
    kafka: KafkaCluster,
    database: TestDatabase<Postgres>,
    address: Address,
    topic: Topic,
    cursors: Topic,
    sent: u32,
}

impl Cluster {
    async fn start() -> Self {
        let folder = std::env::temp_dir();
        let (kafka, _) = KafkaCluster::start([&folder; KafkaCluster::SIZE].map(PathBuf::as_path), &[]).await;
        let database = TestDatabase::postgres().await;
        let brokers = kafka.addresses();
        let topic = Topic::named(&brokers, "cluster", 3).replicated(3);
        topic.create_again(&[("min.insync.replicas", "2")]).await;
        let address = Address {
            brokers: brokers.clone(),
            ..Address::new(&database.url())
        };
        Self {
            cursors: Topic::named(&brokers, &address.cursor_topic, 1),
            kafka,
            database,
            address,
            topic,
            sent: 0,
        }
    }

    async fn insert(&mut self) {
        let next = self.sent + 50;
        insert(&self.database.pool, &self.topic, self.sent..next).await;
        self.sent = next;
    }

    /// All that was inserted is there, once.
    async fn all_arrive(&self) {
        until_seen(&self.topic, self.sent as usize).await;
        assert_eq!(numbers(&self.topic).await, (0..self.sent).collect::<Vec<_>>());
    }

    /// The place of the broker that leads this topic's first partition.
    async fn leader(&self, topic: &Topic) -> usize {
        let leader = wait_until("a leader", LIMIT, async || topic.leader(0).await).await;
        usize::try_from(leader - 1).unwrap()
    }

    /// One more relay, which takes over and finds out where to go on.
    async fn drain(&self) {
        self.address.drain("exactly-once").await.done();
    }
}

/// Replicated once, on the broker that is killed: there is no other leader until it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_whose_only_broker_is_away_is_waited_for() {
    let mut cluster = Cluster::start().await;
    cluster
        .cursors
        .create_again(&[("cleanup.policy", "compact")])
        .await;
    cluster.insert().await;
    cluster.drain().await;
    let leader = cluster.leader(&cluster.cursors).await;
    cluster.kafka.brokers[leader].kill();
    wait_until("the leader to be missed", LIMIT, async || {
        cluster.cursors.leader(0).await.is_none().then_some(())
    })
    .await;
    cluster.insert().await;
    let mut once: Running = cluster.address.relay();
    once.says("has no leader").await;
    // A relay of the other mode has to know what was delivered, too.
    once.stop().await.done();
    let mut other = Running::start(cluster.address.command("at-least-once"));
    other.says("has no leader").await;
    other.stop().await.done();
    let mut relay = cluster.address.relay();
    relay.says("has no leader").await;
    cluster.kafka.restart_missing().await;
    cluster.all_arrive().await;
    relay.stop().await.done();
}

/// The relay creates the topic itself, with three replicas although the brokers' default is one; each broker in turn goes, the
/// one that leads the cursor and the transactions among them, then two at once, then all.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_one_by_one_and_all_at_once_are_waited_for() {
    let mut cluster = Cluster::start().await;
    let mut relay = cluster.address.relay();
    relay.says("delivering exactly once").await;
    cluster.insert().await;
    cluster.all_arrive().await;
    let replicas = cluster.cursors.replicas(0).await;
    assert_eq!(replicas, Some(3));
    for turn in 0..KafkaCluster::SIZE {
        let gone = match turn {
            0 => cluster.leader(&cluster.cursors).await,
            turn => turn,
        };
        cluster.kafka.brokers[gone].kill();
        cluster.insert().await;
        cluster.all_arrive().await;
        cluster.kafka.restart_missing().await;
    }
    for gone in [&[0, 1][..], &[0, 1, 2][..]] {
        for broker in gone {
            cluster.kafka.brokers[*broker].kill();
        }
        cluster.insert().await;
        relay.says("waiting for Kafka").await;
        cluster.kafka.restart_missing().await;
        cluster.all_arrive().await;
        // For a short time the brokers may not know the topics: a relay that starts now does not believe that.
        relay.stop().await.done();
        relay = cluster.address.relay();
    }
    relay.says("delivering exactly once").await;
    relay.stop().await.done();
    cluster.drain().await;
}

/// This is no outage: nobody knows what was delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_topic_that_was_deleted_ends_the_relay_after_all() {
    let mut cluster = Cluster::start().await;
    cluster.insert().await;
    cluster.drain().await;
    cluster.cursors.delete().await;
    for mode in ["exactly-once", "at-least-once"] {
        let ran = cluster.address.drain(mode).await;
        ran.fails(1, &["adopt --without-kafka-cursor"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_with_too_few_replicas_in_sync_is_waited_for() {
    let mut cluster = Cluster::start().await;
    cluster.insert().await;
    cluster.drain().await;
    cluster
        .cursors
        .set(&[("min.insync.replicas", "3"), ("cleanup.policy", "compact")])
        .await;
    let leader = cluster.leader(&cluster.cursors).await;
    cluster.kafka.brokers[(leader + 1) % KafkaCluster::SIZE].kill();
    cluster.insert().await;
    let mut relay = cluster.address.relay();
    relay.says("waiting for Kafka").await;
    cluster.kafka.restart_missing().await;
    cluster.all_arrive().await;
    relay.stop().await.done();
}

/// librdkafka takes the leader of the new topic for an outdated one, because its epoch begins again. Another topic goes on
/// meanwhile, so nothing else ends that client.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_created_again_with_another_leader_gets_its_records() {
    let mut cluster = Cluster::start().await;
    let recreated = Topic::named(&cluster.kafka.addresses(), "recreated", 1).replicated(3);
    recreated.create_again(&[]).await;
    let relay = cluster.address.relay();
    let mut sent = 0;
    for _ in 0..2 {
        insert(&cluster.database.pool, &recreated, sent..sent + 50).await;
        sent += 50;
        cluster.insert().await;
        cluster.all_arrive().await;
        until_seen(&recreated, sent as usize).await;
        let leader = cluster.leader(&recreated).await;
        cluster.kafka.brokers[leader].kill();
        wait_until("another leader", LIMIT, async || {
            let now = recreated.leader(0).await?;
            (now != leader as i32 + 1).then_some(())
        })
        .await;
        cluster.kafka.restart_missing().await;
    }
    insert(&cluster.database.pool, &recreated, sent..sent + 1).await;
    until_seen(&recreated, sent as usize + 1).await;
    let leader = cluster.leader(&recreated).await;
    while cluster.leader(&recreated).await == leader {
        recreated.delete().await;
        recreated.create_again(&[]).await;
    }
    // In one transaction of Kafka, so that the other topic is known to take records.
    let mut both = cluster.database.pool.begin().await.unwrap();
    insert(&mut *both, &cluster.topic, cluster.sent..cluster.sent + 50).await;
    insert(&mut *both, &recreated, 0..50).await;
    both.commit().await.unwrap();
    cluster.sent += 50;
    cluster.all_arrive().await;
    until_seen(&recreated, 50).await;
    assert_eq!(numbers(&recreated).await, (0..50).collect::<Vec<_>>());
    relay.stop().await.done();
}
