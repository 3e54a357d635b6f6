//! A copy of production beside the original, such as a staging system: it sends nothing of the original's.

use outbox_tests::kafka::Topic;
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use sqlx::PgPool;

use crate::scene::{
    ahead_and_behind, connect, database, insert, log_at, number, numbers, outbox, range, relay_all, run,
};

const VERSION: PostgresVersion = PostgresVersion::Distribution;

/// A log of which 0 to 10 are delivered and 10 to 20 are not, with a parked dead letter and one to be replayed.
async fn production(url: &str, topic: &Topic) -> PgPool {
    let pool = log_at(url).await;
    insert(&pool, topic, 0..10).await;
    assert_eq!(relay_all(url).await.done(), "delivered 10 messages\n");
    insert(&pool, topic, 10..20).await;
    run(
        &pool,
        "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, payload, content_type,
                                          occurred_at, state, reason, error, replay_requested_at)
         SELECT gen_random_uuid(), -n, 'order', 'k', 'E', 'no-such-topic', '{}', 'application/json', now(),
                CASE n WHEN 1 THEN 'parked' ELSE 'dead' END, 'too_large', 'of the original', now()
         FROM generate_series(1, 2) AS n",
    )
    .await;
    pool
}

async fn log_id(pool: &PgPool) -> String {
    sqlx::query_scalar("SELECT log_id::text FROM outbox_cursor")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// The copy is declared to be one, sends only what is written in it, and the original goes on.
async fn a_fork_sends_only_its_own(url: &str, fork: &str, original: &PgPool, topic: &Topic) {
    let pool = connect(url).await;
    let looked = outbox(&format!("{fork} --dry-run")).await.done();
    assert!(
        looked.contains("to send    0 messages\ndelivered  20 messages\nskipped    10 of these"),
        "{looked}"
    );
    assert_eq!(
        log_id(&pool).await,
        log_id(original).await,
        "a dry run changed something"
    );
    let forked: serde_json::Value =
        serde_json::from_str(&outbox(&format!("{fork} --json")).await.done()).unwrap();
    assert_eq!(
        (&forked["to_send"], &forked["skipped"], &forked["parked"]),
        (&0.into(), &10.into(), &1.into())
    );
    assert_eq!(forked["log_id"], log_id(&pool).await);
    assert_ne!(log_id(&pool).await, log_id(original).await);
    insert(&pool, topic, 1_000..1_010).await;
    assert_eq!(relay_all(url).await.done(), "delivered 10 messages\n");
    assert_eq!(numbers(topic).await, [range(0..10), range(1_000..1_010)].concat());
    let dead = "count(*) FROM outbox_dead_letters WHERE state = 'dead' AND replay_requested_at IS NULL";
    assert_eq!(
        number(&pool, dead).await,
        2,
        "the copy would send what the original parked"
    );
    assert_eq!(number(&pool, &format!("{dead} AND reason = 'fork'")).await, 1);
}

/// `CREATE DATABASE … TEMPLATE`, or a dump restored on the same server.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_the_same_cluster_stops_until_it_is_forked() {
    let (server, _) = ahead_and_behind().await;
    let topic = Topic::create("staging-beside", 2).await;
    let live = database(server, "live").await;
    production(&live, &topic).await.close().await;
    server.create_database("staging", "live").await;
    let (url, original) = (server.url_of("staging"), connect(&live).await);
    relay_all(&url)
        .await
        .fails(1, &["database or table", "outbox fork --database-url"]);
    let status = outbox(&format!("status -D {url}")).await;
    status.fails(1, &["outbox fork --database-url"]);
    a_fork_sends_only_its_own(&url, &format!("fork -D {url}"), &original, &topic).await;
    // Its dead letters are of a topic that is not there, and are not what this is about.
    run(&original, "DELETE FROM outbox_dead_letters").await;
    assert_eq!(relay_all(&live).await.done(), "delivered 10 messages\n");
    assert_eq!(
        numbers(&topic).await,
        [range(0..20), range(1_000..1_010)].concat()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_another_cluster_stops_until_it_is_forked() {
    let (server, other) = ahead_and_behind().await;
    let topic = Topic::create("staging-elsewhere", 2).await;
    let original = production(&database(server, "far_live").await, &topic).await;
    server.dump_into("far_live", other, "far_staging").await;
    let url = other.url_of("far_staging");
    relay_all(&url).await.fails(1, &["outbox fork --database-url"]);
    a_fork_sends_only_its_own(&url, &format!("fork -D {url}"), &original, &topic).await;
}

/// Nothing in a copy of the files says that it is one: the operator has to, and before a relay runs on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_files_is_forked_when_it_is_called_one() {
    let server = PostgresServer::start(VERSION).await;
    let topic = Topic::create("staging-files", 2).await;
    let original = production(&server.url(), &topic).await;
    let copy = server.base_backup().await.start().await;
    let url = copy.url();
    let words = ["distinguishes this log from its original", "--physical-copy"];
    outbox(&format!("fork -D {url}")).await.fails(2, &words);
    outbox(&format!("fork -D {}", server.url()))
        .await
        .fails(2, &words);
    a_fork_sends_only_its_own(&url, &format!("fork -D {url} --physical-copy"), &original, &topic).await;
}

/// What the original had not delivered may be sent by the copy too, for a staging system with a Kafka of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_sends_the_backlog_when_it_is_asked_to() {
    let (server, _) = ahead_and_behind().await;
    let topic = Topic::create("staging-backlog", 2).await;
    production(&database(server, "busy_live").await, &topic)
        .await
        .close()
        .await;
    server.create_database("busy_staging", "busy_live").await;
    let url = server.url_of("busy_staging");
    let pool = connect(&url).await;
    let forked = outbox(&format!("fork -D {url} --send-backlog")).await.done();
    assert!(
        forked.contains("to send    10 messages\ndelivered  10 messages\nparked     1"),
        "{forked}"
    );
    assert_eq!(
        number(&pool, "count(*) FROM outbox_dead_letters WHERE state = 'parked'").await,
        1
    );
    run(&pool, "DELETE FROM outbox_dead_letters").await;
    assert_eq!(relay_all(&url).await.done(), "delivered 10 messages\n");
    assert_eq!(numbers(&topic).await, range(0..20));
}
