//! The harness itself: servers that are crashed, frozen and started again, and topics that are read back.

use std::time::Duration;

use outbox_tests::kafka::{Topic, read_all};
use outbox_tests::servers::{KafkaServer, PostgresServer, PostgresVersion};
use outbox_tests::wait_until;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use sqlx::{Connection, PgConnection};

const LIMIT: Duration = Duration::from_secs(120);

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .expect("the server takes connections")
}

fn producer(brokers: &str) -> FutureProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("reconnect.backoff.max.ms", "500");
    config.create().expect("a producer can be made")
}

async fn send(producer: &FutureProducer, topic: &str, key: &str, value: &str) {
    let header = Header {
        key: "ce_id",
        value: Some("0198c0de-0000-7000-8000-000000000001"),
    };
    let headers = OwnedHeaders::new().insert(header).insert(Header {
        key: "none",
        value: None::<&str>,
    });
    let record = FutureRecord::to(topic)
        .key(key)
        .payload(value)
        .timestamp(1_700_000_000_123)
        .headers(headers);
    producer
        .send(record, Timeout::Never)
        .await
        .expect("the record is acknowledged");
}

#[tokio::test]
async fn shared_servers_are_of_the_versions_they_are_named_for() {
    for (version, number) in [(PostgresVersion::V13, "13."), (PostgresVersion::V18, "18.")] {
        let mut connection = connect(&version.url()).await;
        let version: String = sqlx::query_scalar("SHOW server_version")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(version.starts_with(number), "{version} instead of {number}");
    }
}

#[tokio::test]
async fn what_was_committed_outlives_a_crash_of_postgresql_and_what_was_open_does_not() {
    for version in PostgresVersion::ALL {
        let mut server = PostgresServer::start_with(version, &[("max_connections", "7")]).await;
        let mut connection = connect(&server.url()).await;
        let setting: String = sqlx::query_scalar("SHOW max_connections")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(setting, "7");
        sqlx::query("CREATE TABLE kept (n int)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("INSERT INTO kept VALUES (1)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
        sqlx::query("INSERT INTO kept VALUES (2)")
            .execute(&mut connection)
            .await
            .unwrap();

        server.kill();
        assert!(sqlx::query("COMMIT").execute(&mut connection).await.is_err());
        assert!(PgConnection::connect(&server.url()).await.is_err());

        server.restart().await;
        let mut connection = connect(&server.url()).await;
        let kept: Vec<i32> = sqlx::query_scalar("SELECT n FROM kept")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(kept, [1]);

        server.restart().await;
        connect(&server.url()).await;
    }
}

#[tokio::test]
async fn connections_are_terminated_and_a_frozen_postgresql_answers_later() {
    let mut server = PostgresServer::start(PostgresVersion::Distribution).await;
    let mut connection = connect(&server.url()).await;
    assert_eq!(server.terminate_connections().await, 1);
    let error = sqlx::query("SELECT 1")
        .execute(&mut connection)
        .await
        .unwrap_err();
    let code = error.as_database_error().and_then(|error| error.code());
    assert!(code.is_none() || code.as_deref() == Some("57P01"), "{error}");

    let mut connection = connect(&server.url()).await;
    server.freeze();
    let mut asked = std::pin::pin!(sqlx::query_scalar::<_, i32>("SELECT 42").fetch_one(&mut connection));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut asked)
            .await
            .is_err()
    );
    server.thaw();
    assert_eq!(asked.await.unwrap(), 42);

    server.freeze();
    server.stop().await;
    assert!(PgConnection::connect(&server.url()).await.is_err());
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = PostgresServer::start(PostgresVersion::Distribution).await;
    let url = server.url();
    let mut connection = connect(&url).await;
    let folder: String = sqlx::query_scalar("SHOW data_directory")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(std::path::Path::new(&folder).exists());
    drop(server);
    assert!(!std::path::Path::new(&folder).exists());
    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn a_broker_keeps_its_records_through_a_crash_and_a_pause() {
    // GIVEN a record in a topic
    let mut server = KafkaServer::start().await;
    let topic = Topic::create_at(&server.brokers(), "kept", 1, &[("max.message.bytes", "2000")]).await;
    let producer = producer(&server.brokers());
    send(&producer, topic.name(), "key", "before").await;

    // WHEN the broker crashes and comes back
    server.kill();
    let mut while_down = std::pin::pin!(send(&producer, topic.name(), "key", "while down"));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut while_down)
            .await
            .is_err()
    );
    server.restart().await;
    while_down.await;

    // WHEN it stands still for a short time
    server.freeze();
    let mut while_frozen = std::pin::pin!(send(&producer, topic.name(), "key", "while frozen"));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut while_frozen)
            .await
            .is_err()
    );
    server.thaw();
    while_frozen.await;

    // THEN all is there, in order
    let records = read_all(&server.brokers(), topic.name()).await;
    let values: Vec<_> = records
        .iter()
        .map(|record| record.value.as_deref().unwrap())
        .collect();
    assert_eq!(values, [&b"before"[..], b"while down", b"while frozen"]);
}

#[tokio::test]
async fn a_topic_is_read_back_with_everything() {
    let topic = Topic::create("read-back", 3).await;
    assert!(topic.read_all().await.is_empty());
    let brokers = outbox_tests::servers::brokers();
    let producer = producer(&brokers);
    for n in 0..50 {
        send(&producer, topic.name(), &format!("key-{}", n % 7), &n.to_string()).await;
    }

    let records = topic.read_all().await;
    assert_eq!((records.len(), topic.end_offset().await), (50, 50));
    assert_eq!(records, topic.read_committed().await);
    let record = &records[0];
    assert_eq!(record.timestamp_ms, Some(1_700_000_000_123));
    assert_eq!(
        record.event_id().unwrap().to_string(),
        "0198c0de-0000-7000-8000-000000000001"
    );
    assert_eq!(record.headers[1], ("none".to_owned(), None));
    assert!(record.key_text().unwrap().starts_with("key-"));
    assert!(
        records
            .windows(2)
            .all(|pair| (pair[0].partition, pair[0].offset) < (pair[1].partition, pair[1].offset))
    );

    topic.delete().await;
    wait_until("the topic to be gone", LIMIT, async || {
        let again = Topic::named(&brokers, topic.name(), 3);
        let gone =
            tokio::task::spawn_blocking(move || is_gone(&outbox_tests::servers::brokers(), again.name()));
        gone.await.unwrap().then_some(())
    })
    .await;
}

fn is_gone(brokers: &str, topic: &str) -> bool {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let mut config = ClientConfig::new();
    let client: BaseConsumer = config.set("bootstrap.servers", brokers).create().unwrap();
    let metadata = client.fetch_metadata(None, LIMIT).unwrap();
    metadata.topics().iter().all(|found| found.name() != topic)
}
