//! Databases that were restored, moved or copied, and a Kafka that lost its cursors: the relay goes on where nothing
//! comes twice, and stops where only somebody else can know.

use outbox_runtime::{Tables, migrate};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{BaseBackup, KafkaServer, PostgresServer, PostgresVersion};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::scene::{Address, insert, numbers, until_seen};

const VERSION: PostgresVersion = PostgresVersion::Distribution;
const FORGET: &str = "adopt --without-kafka-cursor";

async fn connect(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(3).connect(url).await;
    pool.expect("the database answers")
}

/// A log with cursors of its own, and a topic.
async fn log_at(url: &str) -> (Address, Topic, PgPool) {
    let pool = connect(url).await;
    migrate(&pool, &Tables::default()).await.unwrap();
    let mut address = Address::new(url);
    address.cursor_topic = format!("cursors-{}", Uuid::new_v4().simple());
    (address, Topic::create("once-restored", 2).await, pool)
}

fn range(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

async fn delivers(address: &Address, messages: u32) {
    let ran = address.drain("exactly-once").await;
    let log = ran.stderr.clone();
    assert_eq!(ran.done(), format!("delivered {messages} messages\n"), "{log}");
}

/// The database goes back to a point in time before the last deliveries: Kafka knows more, and only an operator can
/// know what to do about that.
#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_restore_stops_until_it_is_adopted() {
    let server = PostgresServer::start_archiving(VERSION.bin()).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    // A relay that looks in while the server recovers finds the tables.
    let backup = server.base_backup().await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    insert(&pool, &topic, 10..20).await;
    BaseBackup::mark(&server).await;
    let relay = address.relay();
    until_seen(&topic, 20).await;
    insert(&pool, &topic, 20..30).await;
    until_seen(&topic, 30).await;
    pool.close().await;
    // The relay is at work while it happens.
    let restored = backup.recover(server).await;
    relay.ended().await.fails(1, &["went back", FORGET]);
    address
        .drain("exactly-once")
        .await
        .fails(1, &["went back", FORGET]);
    assert_eq!(numbers(&topic).await, range(0..30), "something was sent");

    let adopted = address.run(FORGET).await.done();
    assert!(adopted.contains("to send    10 messages"), "{adopted}");
    let pool = connect(&restored.url()).await;
    insert(&pool, &topic, 30..40).await;
    delivers(&address, 20).await;
    let mut expected = [range(0..40), range(10..20)].concat();
    expected.sort_unstable();
    assert_eq!(numbers(&topic).await, expected, "what it did not know came again");
    delivers(&address, 0).await;
}

/// The same, to a point in time when messages were delivered at least once.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_before_the_mode_was_changed_stops() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    insert(&pool, &topic, 0..10).await;
    address.drain("at-least-once").await.done();
    let mut standby = server.standby().await;
    standby.stop().await;
    insert(&pool, &topic, 10..20).await;
    delivers(&address, 10).await;
    pool.close().await;
    standby.take_place_of(server).await;
    address
        .drain("exactly-once")
        .await
        .fails(1, &["went back", FORGET]);
    address.run(FORGET).await.done();
    insert(&connect(&standby.url()).await, &topic, 20..30).await;
    delivers(&address, 10).await;
    assert_eq!(
        numbers(&topic).await,
        range(0..30),
        "10 to 20 were lost with the database"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_had_all_doubles_nothing() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    let mut standby = server.standby().await;
    let relay = address.relay();
    insert(&pool, &topic, 0..20).await;
    until_seen(&topic, 20).await;
    server.until_it_has_all(&standby).await;
    // The row in the database need not say yet what was delivered.
    standby.stop().await;
    pool.close().await;
    standby.take_place_of(server).await;
    insert(&connect(&standby.url()).await, &topic, 20..40).await;
    until_seen(&topic, 40).await;
    relay.stop().await.done();
    delivers(&address, 0).await;
    assert_eq!(numbers(&topic).await, range(0..40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_topic_of_cursors_stops_until_it_is_adopted() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    Topic::named(&address.brokers, &address.cursor_topic, 1)
        .delete()
        .await;
    insert(&pool, &topic, 10..20).await;
    let words = ["no cursor of this log", FORGET];
    address.drain("exactly-once").await.fails(1, &words);
    address.drain("at-least-once").await.fails(1, &words);
    let adopted = address.run(FORGET).await.done();
    assert!(adopted.contains("to send    10 messages"), "{adopted}");
    delivers(&address, 10).await;
    assert_eq!(
        numbers(&topic).await,
        range(0..20),
        "it had been stopped, so the database knew all"
    );
    let again = address.run("adopt").await.done();
    assert!(again.contains("nothing to do"), "{again}");
    delivers(&address, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_kafka_stops_until_it_is_adopted() {
    let (server, old, new) = tokio::join!(
        PostgresServer::start(VERSION),
        KafkaServer::start(),
        KafkaServer::start()
    );
    let (mut address, _, pool) = log_at(&server.url()).await;
    address.brokers = old.brokers();
    let topic = Topic::create_at(&old.brokers(), "replaced", 2, &[]).await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    insert(&pool, &topic, 10..20).await;
    address.brokers = new.brokers();
    address
        .drain("exactly-once")
        .await
        .fails(1, &["another Kafka cluster", FORGET]);
    address.run(FORGET).await.done();
    let there = Topic::named(&new.brokers(), topic.name(), 2);
    there.create_again(&[]).await;
    delivers(&address, 10).await;
    assert_eq!(
        numbers(&there).await,
        range(10..20),
        "on from the database's cursor"
    );
}

/// A dump in another cluster, with the same Kafka: the log, moved.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_another_cluster_stops_until_it_is_adopted() {
    let (server, other) = tokio::join!(PostgresServer::start(VERSION), PostgresServer::start(VERSION));
    let (mut address, topic, pool) = log_at(&server.url()).await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    insert(&pool, &topic, 10..20).await;
    server.dump_into("postgres", &other, "moved").await;
    address.database = other.url_of("moved");
    address.drain("exactly-once").await.fails(1, &["outbox adopt"]);
    address.run("adopt").await.done();
    insert(&connect(&address.database).await, &topic, 20..30).await;
    delivers(&address, 20).await;
    assert_eq!(numbers(&topic).await, range(0..30));
}

/// A copy that was declared to be one has cursors of its own, beside the original's in the same topic, and neither
/// fences the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_and_its_original_do_not_fence_each_other() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    insert(&pool, &topic, 10..20).await;
    let copy = server.base_backup().await.start().await;
    let mut staging = address.clone();
    staging.database = copy.url();
    staging.run("fork --physical-copy").await.done();
    let (one, other) = (address.relay(), staging.relay());
    until_seen(&topic, 20).await;
    insert(&connect(&copy.url()).await, &topic, 1_000..1_010).await;
    insert(&pool, &topic, 20..30).await;
    until_seen(&topic, 40).await;
    for relay in [one, other] {
        let ran = relay.stop().await;
        assert!(!ran.stderr.contains("waiting for Kafka"), "{}", ran.stderr);
        ran.done();
    }
    assert_eq!(
        numbers(&topic).await,
        [range(0..30), range(1_000..1_010)].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cursor_row_stops_until_it_is_decided_about() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    insert(&pool, &topic, 0..10).await;
    delivers(&address, 10).await;
    sqlx::raw_sql("DELETE FROM outbox_cursor")
        .execute(&pool)
        .await
        .unwrap();
    insert(&pool, &topic, 10..20).await;
    address
        .drain("exactly-once")
        .await
        .fails(1, &["adopt", "--without-cursor"]);
    address.run("adopt --without-cursor send").await.done();
    delivers(&address, 20).await;
    let mut expected = [range(0..10), range(0..20)].concat();
    expected.sort_unstable();
    assert_eq!(numbers(&topic).await, expected);
}

/// Kafka went back to an earlier cursor, as when it lost its newest records.
#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_lost_commits_is_noticed() {
    let server = PostgresServer::start(VERSION).await;
    let (address, topic, pool) = log_at(&server.url()).await;
    for number in 0..3 {
        insert(&pool, &topic, 10 * number..10 * (number + 1)).await;
        delivers(&address, 10).await;
    }
    let ahead = "UPDATE outbox_cursor SET generation = generation + 2";
    sqlx::raw_sql(ahead).execute(&pool).await.unwrap();
    address
        .drain("exactly-once")
        .await
        .fails(1, &["lost a part of what it had acknowledged", FORGET]);
    address.run(FORGET).await.done();
    delivers(&address, 0).await;
}
