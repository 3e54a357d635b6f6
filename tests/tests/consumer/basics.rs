//! What a consumer does when nothing goes wrong, and with what its producers send twice.

use outbox_runtime::consumer::{ConsumerErrorKind, ConsumerReport, UnknownTypes};
use outbox_runtime::{Consumer, InboxMessage, Outbox, OutboxEvent, OutboxTx, Tables};
use outbox_tests::numbers::{Number, act};
use outbox_tests::{NextTables, TestDatabase, servers};
use serde::Serialize;
use sqlx::{Executor, Postgres};
use uuid::Uuid;

use crate::scene::{Scene, quick, wait_for};

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "numbers.counted.v1", aggregate = "number", key = key)]
struct CountedV1 {
    key: String,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// As a plain function, too.
async fn count(
    tx: &mut OutboxTx<'_, Postgres>,
    message: &InboxMessage,
    number: Number,
) -> Result<(), Failure> {
    assert_eq!(message.key(), Some(number.key.as_bytes()));
    act(&mut *tx, &number).await?;
    tx.emit(CountedV1 { key: number.key })?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_act_once_and_events_continue_the_conversation() {
    let scene = Scene::new(3).await;
    let mut producer = scene.producer();
    producer.send(60, 6, 3);
    producer.record("x", Uuid::now_v7(), "SomethingElseV1", b"{}");
    producer.flush();
    let consumer = scene.builder().on("NumberV1", count).build().unwrap().spawn();
    wait_for(&consumer, producer.records()).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!(report.processed, 60);
    assert!(producer.records() > 61 + 30, "too few were sent twice");
    assert_eq!(report.duplicates, producer.records() - 61);
    assert_eq!((report.unknown, report.failures, report.dead_lettered), (1, 0, 0));
    scene.assert_exact(&producer).await;

    let (events, correlated): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT headers->>'ce_correlationid') FROM outbox_messages")
            .fetch_one(&scene.database.pool)
            .await
            .unwrap();
    assert_eq!((events, correlated), (60, 60));
    let strangers: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outbox_messages WHERE headers->>'ce_correlationid' NOT IN \
         (SELECT message_id FROM outbox_inbox)",
    )
    .fetch_one(&scene.database.pool)
    .await
    .unwrap();
    assert_eq!(strangers, 0, "the correlation id is the message's id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_begins_where_the_last_one_ended() {
    let scene = Scene::new(2).await;
    let mut producer = scene.producer();
    producer.send(20, 4, 0);
    let first = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(20).await;
    first.stop().await.unwrap();
    producer.send(20, 4, 0);
    let second = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(40).await;
    let report = second.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.processed, report.duplicates),
        (20, 0),
        "the offsets were committed at the stop"
    );
    scene.assert_exact(&producer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_may_be_borrowed_across_awaits() {
    let scene = Scene::new(1).await;
    scene.producer().send(3, 1, 0);
    let seen = std::sync::Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let consumer = scene.builder().on_message("NumberV1", {
        let seen = seen.clone();
        async move |tx, message, ()| {
            sqlx::query("SELECT 1").execute(&mut **tx).await?;
            seen.lock().await.push(message.offset());
            Ok::<_, sqlx::Error>(())
        }
    });
    let consumer = consumer.build().unwrap().spawn();
    wait_for(&consumer, 3).await;
    consumer.stop().await.unwrap();
    assert_eq!(*seen.lock().await, [0, 1, 2]);
}

#[tokio::test]
async fn errors_are_reported_before_anything_runs() {
    let outbox = Outbox::new(sqlx::PgPool::connect_lazy("postgres://localhost/none").unwrap());
    let builder = || Consumer::builder(&outbox, "localhost:1", "group").topic("numbers");
    let handler =
        async |_: &mut OutboxTx<'static, Postgres>, _: &InboxMessage, _: Number| Ok::<_, sqlx::Error>(());
    let error_of = |built: Result<Consumer<Postgres>, outbox_runtime::consumer::ConsumerError>| {
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ConsumerErrorKind::Configuration);
        error.to_string()
    };
    assert!(error_of(builder().build()).contains(".on("));
    assert!(error_of(builder().on("A", handler).on("A", handler).build()).contains("`A`"));
    let topicless = Consumer::builder(&outbox, "localhost:1", "group").on("A", handler);
    assert!(error_of(topicless.build()).contains(".topic("));
    assert!(error_of(builder().topic("a b").on("A", handler).build()).contains("a b"));
    let nameless = Consumer::builder(&outbox, "localhost:1", "")
        .topic("a")
        .on("A", handler);
    assert!(error_of(nameless.build()).contains("group"));
    let property = |key: &str, value: &str| error_of(builder().on("A", handler).property(key, value).build());
    assert!(property("enable.auto.commit", "true").contains("after the transaction"));
    assert!(property("sesion.timeout.ms", "1").contains("sesion.timeout.ms"));
    assert!(!property("sasl.pasword", "hunter2").contains("hunter2"));
}

/// Topics of another environment have other names in the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn topics_are_read_with_their_prefix() {
    let scene = Scene::new(1).await;
    let mut producer = scene.producer();
    producer.send(10, 2, 1);
    producer.flush();
    let (prefix, plain) = scene.topic.name().split_once('-').unwrap();
    let name = scene.topic.name().to_owned();
    let count = async move |tx: &mut OutboxTx<'_, Postgres>, message: &InboxMessage, number: Number| {
        assert_eq!(message.topic(), name);
        act(tx, &number).await
    };
    let consumer = Consumer::builder(&scene.outbox, servers::brokers(), &scene.group)
        .topic(plain)
        .topic_prefix(format!("{prefix}-"))
        .config(quick())
        .on("NumberV1", count)
        .build()
        .unwrap()
        .spawn();
    wait_for(&consumer, producer.records()).await;
    consumer.stop().await.unwrap().unwrap();
    assert_eq!(scene.acted().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tables_end_it() {
    let database = TestDatabase::postgres().await;
    let tables = Tables::new(None, "elsewhere_").unwrap();
    let outbox = Outbox::builder(database.pool.clone()).tables(tables).build();
    let consumer = Consumer::builder(&outbox, servers::brokers(), "nobody")
        .topic("nothing")
        .on("NumberV1", count)
        .build()
        .unwrap()
        .spawn();
    consumer.ended().await;
    let error = consumer.stop().await.unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::Schema);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_next_version_end_it_unless_they_only_added_something() {
    let scene = Scene::new(1).await;
    let migrate = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&scene.database.pool)
            .await
            .unwrap();
    };
    migrate(NextTables::LeaveThisOne.migration()).await;
    let mut producer = scene.producer();
    producer.send(10, 3, 0);
    let consumer = scene.counting().build().unwrap().spawn();
    scene.wait_for_acted(10).await;
    consumer.stop().await.unwrap();

    migrate("UPDATE outbox_schema SET oldest_program = NULL".to_owned()).await;
    let consumer = scene.counting().build().unwrap().spawn();
    consumer.ended().await;
    let error = consumer.stop().await.unwrap_err();
    assert_eq!(error.kind(), ConsumerErrorKind::Schema);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_types_are_kept_if_that_is_wanted() {
    let scene = Scene::new(1).await;
    let producer = scene.producer();
    producer.record("x", Uuid::now_v7(), "NumberV2", b"{}");
    producer.flush();
    let config = quick().unknown_types(UnknownTypes::DeadLetter);
    let consumer = scene.counting().config(config).build().unwrap();
    let dead_letters = consumer.dead_letters();
    let consumer = consumer.spawn();
    wait_for(&consumer, 1).await;
    let report: ConsumerReport = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.unknown, report.dead_lettered), (0, 1));
    let kept = dead_letters.list(10).await.unwrap();
    assert_eq!(kept[0].reason.as_str(), "unknown_type");
    assert_eq!(kept[0].message.event_type(), Some("NumberV2"));
}

/// The inbox is in the handlers' database, which may be SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn it_works_on_sqlite() {
    let scene = Scene::new(2).await;
    let database = TestDatabase::sqlite().await;
    database
        .pool
        .execute("CREATE TABLE seen (key TEXT, number INTEGER, PRIMARY KEY (key, number))")
        .await
        .unwrap();
    let mut producer = scene.producer();
    producer.send(30, 3, 5);
    let outbox = Outbox::new(database.pool.clone());
    let consumer = Consumer::builder(&outbox, servers::brokers(), &scene.group)
        .topic(scene.topic.name())
        .config(quick())
        .on("NumberV1", async |tx, _message, number: Number| {
            let insert = sqlx::query("INSERT INTO seen VALUES (?, ?)").bind(&number.key);
            insert.bind(number.number).execute(&mut **tx).await.map(drop)
        })
        .build()
        .unwrap()
        .spawn();
    wait_for(&consumer, producer.records()).await;
    let report = consumer.stop().await.unwrap().unwrap();
    assert_eq!((report.processed, report.dead_lettered), (30, 0), "{report:?}");
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM seen")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(seen, 30);
}
