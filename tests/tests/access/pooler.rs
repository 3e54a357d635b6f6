//! Relays and writers behind PgBouncer.

use std::collections::HashSet;

use outbox_runtime::{CommitOutcome, Error, Inbox, Outbox, OutboxMessage, Processed};
use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::{PgBouncer, PoolMode, brokers, database_url};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Postgres, Row as _};

/// What `sqlx` asks for at each connection's start, and no pooler passes on by itself.
const DRIVERS: &[&str] = &["extra_float_digits"];
const DRIVERS_AND_OPTIONS: &[&str] = &["extra_float_digits", "options"];

fn name(database: &TestDatabase<Postgres>) -> String {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.get_database().unwrap().to_owned()
}

/// Settings of as many sessions as there are behind the pooler, asked without a prepared statement.
async fn settings(bouncer: &PgBouncer, database: &str) -> Vec<(String, String, String)> {
    let mut connections = Vec::new();
    let mut found = Vec::new();
    for _ in 0..3 {
        let mut connection = PgConnection::connect(&bouncer.url(database)).await.unwrap();
        // Held, so that the next one gets another.
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
        let look = "SELECT current_setting('enable_seqscan'), current_setting('statement_timeout'), pg_backend_pid()::text";
        let row = sqlx::raw_sql(look).fetch_one(&mut connection).await.unwrap();
        found.push((row.get(0), row.get(1), row.get(2)));
        connections.push(connection);
    }
    found
}

/// Whether the pooler refuses what it does not know or drops it, and whenever it changes connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_names_the_pooler_and_leaves_nothing_on_its_connections() {
    let database = TestDatabase::postgres().await;
    let name = name(&database);
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        for dropped in [&[][..], DRIVERS, DRIVERS_AND_OPTIONS] {
            let bouncer = PgBouncer::start(&database_url(), mode, 3, dropped).await;
            for delivery in ["at-least-once", "exactly-once"] {
                let relay = format!(
                    "relay --delivery {delivery} -D {} --brokers {}",
                    bouncer.url(&name),
                    brokers()
                );
                let ran = Ran::of(&mut command(&relay)).await;
                ran.fails(2, &["pooler", "address of PostgreSQL itself"]);
            }
            if dropped.is_empty() {
                continue;
            }
            let doctor = format!("doctor --json -D {}", bouncer.url(&name));
            let found = Ran::of(&mut command(&doctor)).await;
            assert!(
                found.stdout.contains("\"code\":\"pooler\""),
                "{mode:?}: {found:?}"
            );
            for (seqscan, timeout, session) in settings(&bouncer, &name).await {
                assert_eq!(
                    (seqscan.as_str(), timeout.as_str()),
                    ("on", "0"),
                    "{mode:?}, session {session}"
                );
            }
        }
    }
}

/// Eight writers at the same time, with 25 transactions each.
async fn write(outbox: &Outbox<Postgres>, topic: &Topic) {
    let writers = (0..8).map(|writer| {
        let (outbox, topic) = (outbox.clone(), topic.name().to_owned());
        tokio::spawn(async move {
            for _ in 0..25 {
                let message = OutboxMessage::builder(&topic, format!("k{writer}"))
                    .event_type("Written")
                    .aggregate_type("shop")
                    .build();
                let written = outbox
                    .transaction(async |tx| tx.emit_message(message).map(drop))
                    .await;
                written.expect("it is written through the pooler");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("the writer ends");
    }
}

/// A relay delivers one message that was processed, and each one of the writers once.
async fn assert_delivered(database: &TestDatabase<Postgres>, topic: &Topic, mode: PoolMode) {
    let relay = format!(
        "relay -D {} --brokers {} --until-empty",
        database.url(),
        brokers()
    );
    Ran::of(&mut command(&relay)).await.done();
    let seen = topic.read_all().await;
    let (processed, written): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|record| record.header("ce_type") == Some("Processed"));
    assert_eq!(processed.len(), 1, "{mode:?}");
    let ids: HashSet<_> = written.iter().map(|record| record.header("ce_id")).collect();
    assert_eq!((written.len(), ids.len()), (8 * 25, 8 * 25), "{mode:?}");
}

/// All ways of writing, in sessions that change between transactions.
#[tokio::test(flavor = "multi_thread")]
async fn writers_write_through_a_pooler() {
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let (database, topic) = (TestDatabase::postgres().await, Topic::create("pooled", 3).await);
        // In session mode a client keeps its server connection.
        let (servers, clients) = match mode {
            PoolMode::Transaction => (6, 8),
            PoolMode::Session => (20, 8),
        };
        let bouncer = PgBouncer::start(&database_url(), mode, servers, DRIVERS).await;
        let pool = bouncer.pool(&name(&database), clients);
        let outbox = Outbox::new(pool.clone());
        let inbox = Inbox::new(&outbox);
        for (attempt, expected) in [(1, Processed::Now(1)), (2, Processed::Before)] {
            let processed = outbox
                .transaction(async |tx| {
                    inbox
                        .process(tx, "shop", "m1", async |tx| {
                            let message = OutboxMessage::builder(topic.name(), "k")
                                .event_type("Processed")
                                .aggregate_type("shop")
                                .build();
                            tx.emit_message(message)?;
                            Ok::<_, Error>(attempt)
                        })
                        .await
                })
                .await;
            assert_eq!(processed.unwrap(), expected, "{mode:?}");
        }
        let xid: i64 = sqlx::query_scalar("SELECT xid::text::bigint FROM outbox_messages")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        let outcome = outbox.outcome(xid.unsigned_abs()).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Committed, "{mode:?}");

        write(&outbox, &topic).await;
        assert_delivered(&database, &topic, mode).await;
    }
}
