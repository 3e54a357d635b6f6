//! `outbox relay` from PostgreSQL to Kafka.

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{PostgresServer, PostgresVersion, brokers};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgExecutor};

use crate::{Place, Running, status};

async fn insert(database: impl PgExecutor<'_>, topic: &Topic, messages: u32) {
    let insert = format!(
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', (n % 7)::text, 'OrderPlacedV1', '{}', to_json(n) FROM generate_series(1, {messages}) AS n",
        topic.name()
    );
    sqlx::query(AssertSqlSafe(insert))
        .execute(database)
        .await
        .unwrap();
}

#[tokio::test]
async fn until_empty_delivers_everything_in_order_and_ends() {
    let (place, database, topic) = (
        Place::new(),
        TestDatabase::postgres().await,
        Topic::create("cli-until-empty", 3).await,
    );
    insert(&database.pool, &topic, 1_000).await;
    let relay = format!(
        "relay -D {} --brokers {} --until-empty",
        database.url(),
        brokers()
    );
    let ran = place.run(&relay);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "delivered 1000 messages\n"),
        "{}",
        ran.stderr
    );

    let records = topic.read_all().await;
    assert_eq!(records.len(), 1_000);
    for key in 0..7 {
        let of_key = records
            .iter()
            .filter(|record| record.key_text() == Some(&key.to_string()));
        let numbers: Vec<u32> = of_key
            .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
            .collect();
        assert!(numbers.is_sorted() && numbers.len() >= 142, "{numbers:?}");
    }
    let name = url::Url::parse(&database.url()).unwrap().path().to_owned();
    assert_eq!(records[0].header("ce_source"), Some(name.as_str()));
    assert_eq!(status(&place, &database.url())["backlog"]["messages"], 0);

    let again = place.run(&relay);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "delivered 0 messages\n"),
        "{}",
        again.stderr
    );
}

/// Tables and events of all environments contain the same topic.
#[tokio::test]
async fn a_prefix_keeps_the_topics_of_two_environments_apart() {
    let place = Place::new();
    for delivery in ["at-least-once", "exactly-once"] {
        let database = TestDatabase::postgres().await;
        let (dev, prefix) = (Topic::create("dev", 3).await, "dev-");
        let plain = dev.name().strip_prefix(prefix).unwrap();
        insert(&database.pool, &Topic::named(&brokers(), plain, 3), 100).await;
        let relay = format!(
            "relay -D {} --brokers {} --delivery {delivery} --until-empty --topic-prefix {prefix}",
            database.url(),
            brokers()
        );
        let ran = place.run(&relay);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), "delivered 100 messages\n"),
            "{}",
            ran.stderr
        );
        assert_eq!(dev.read_committed().await.len(), 100, "{delivery}");
    }
    let wrong = format!(
        "relay -D postgres:///x --brokers {} --topic-prefix dev/",
        brokers()
    );
    place.run(&wrong).fails(2, &["prefix", "\"dev/\"", "none of A-Z"]);
}

#[tokio::test]
async fn a_database_that_is_away_at_the_start_is_waited_for() {
    let mut server = PostgresServer::start(PostgresVersion::Distribution).await;
    let (place, topic) = (Place::new(), Topic::create("cli-waits", 1).await);
    place.run(&format!("migrate -D {}", server.url())).done();
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    insert(&mut connection, &topic, 1).await;
    drop(connection);
    server.stop().await;

    let relay = format!("relay -D {} --brokers {} --until-empty", server.url(), brokers());
    let mut running = Running::start(place.command(&relay));
    running.says("waiting for the database");
    server.restart().await;
    assert_eq!(running.ended(), (Some(0), "delivered 1 messages\n".to_owned()));
    assert_eq!(topic.read_all().await.len(), 1);
}

#[tokio::test]
async fn a_signal_stops_it_and_gives_the_lease_back() {
    let (place, database) = (Place::new(), TestDatabase::postgres().await);
    let relay = format!("relay -D {} --brokers {}", database.url(), brokers());
    let mut running = Running::start(place.command(&relay));
    running.says("this relay is the active one");
    assert_eq!(status(&place, &database.url())["lease"]["epoch"], 1);
    running.signal("TERM");
    assert_eq!(running.ended(), (Some(0), "delivered 0 messages\n".to_owned()));
    assert_eq!(status(&place, &database.url())["lease"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_missing_schema_ends_it_with_what_to_run() {
    let (place, database) = (
        Place::new(),
        TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await,
    );
    let relay = format!("relay -D {} --brokers {}", database.url(), brokers());
    let ran = place.run(&relay);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("outbox migrate --database-url"),
        "{}",
        ran.stderr
    );
}
