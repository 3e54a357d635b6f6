//! The writers themselves: what they say they committed is what is in the table.

use std::collections::HashSet;
use std::time::Duration;

use outbox_runtime::schema::{Dialect, Migrated, Migration};
use outbox_runtime::{Tables, migrate};
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use outbox_tests::wait_until;
use outbox_tests::writers::{Ledger, Shape, Writers};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row};
use uuid::Uuid;

async fn server(version: PostgresVersion) -> (PostgresServer, PgPool) {
    let server = PostgresServer::start_with(version, &[("max_prepared_transactions", "20")]).await;
    let pool = PgPoolOptions::new().connect(&server.url()).await.unwrap();
    migrate(&pool, &Tables::default()).await.unwrap();
    (server, pool)
}

async fn assert_same_as_table(ledger: &Ledger, pool: &PgPool) {
    let rows =
        sqlx::query("SELECT id, topic, aggregate_id, payload::text, payload_binary FROM outbox_messages");
    let rows = rows.fetch_all(pool).await.unwrap();
    let there: HashSet<(Uuid, String, String, Option<Vec<u8>>)> = rows
        .iter()
        .map(|row| {
            let text: Option<String> = row.get(3);
            (
                row.get(0),
                row.get(1),
                row.get(2),
                text.map(String::into_bytes).or_else(|| row.get(4)),
            )
        })
        .collect();
    let recorded = ledger.committed.iter().map(|written| {
        let event = &written.event;
        (
            event.id,
            event.topic.clone(),
            event.key.clone(),
            event.value.bytes().map(<[u8]>::to_vec),
        )
    });
    assert_eq!(there.len(), rows.len());
    assert!(there == recorded.collect(), "the ledger differs from the table");
    assert!(there.iter().all(|(id, ..)| !ledger.rolled_back.contains(id)));
}

#[tokio::test]
async fn the_ledger_is_what_is_in_the_table() {
    for version in [PostgresVersion::V13, PostgresVersion::V18] {
        let (_server, pool) = server(version).await;
        let ledger = Writers::on(&pool, ["one", "two"])
            .transactions(400)
            .start()
            .await
            .finish()
            .await;
        assert_same_as_table(&ledger, &pool).await;
        assert!(ledger.committed.len() > 1_000 && ledger.rolled_back.len() > 100);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_xacts")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn tables_are_upgraded_while_writers_insert() {
    for version in [PostgresVersion::V13, PostgresVersion::V18] {
        // GIVEN tables of version 1, and writers at work
        let server = PostgresServer::start_with(version, &[("max_prepared_transactions", "20")]).await;
        let pool = PgPoolOptions::new().connect(&server.url()).await.unwrap();
        let first = &Migration::history(Dialect::Postgres, &Tables::default(), 1)[0];
        sqlx::raw_sql(AssertSqlSafe(first.up().to_owned()))
            .execute(&pool)
            .await
            .unwrap();
        let writers = Writers::on(&pool, ["one"]).transactions(u64::MAX).start().await;
        let more_than = async |count: usize| {
            wait_until("commits", Duration::from_secs(60), async || {
                (writers.committed() > count).then_some(())
            })
            .await;
        };
        more_than(200).await;
        // WHEN they are upgraded
        assert_eq!(
            migrate(&pool, &Tables::default()).await.unwrap(),
            Migrated::Applied
        );
        // THEN the writers go on, and nothing is lost
        more_than(writers.committed() + 200).await;
        let ledger = writers.stop().await;
        assert_same_as_table(&ledger, &pool).await;
    }
}

#[tokio::test]
async fn each_shape_does_what_it_is_for() {
    let (_server, pool) = server(PostgresVersion::Distribution).await;
    for shape in Shape::ALL {
        let writers = Writers::on(&pool, ["one"])
            .shapes(&[shape])
            .transactions(30)
            .seed(7);
        let ledger = writers.start().await.finish().await;
        let never_commits = matches!(
            shape,
            Shape::RolledBack | Shape::Abandoned | Shape::PreparedRolledBack
        );
        assert_eq!(ledger.committed.is_empty(), never_commits, "{shape:?}");
        let rolls_back = never_commits || matches!(shape, Shape::Savepoints | Shape::Emitted);
        assert_eq!(!ledger.rolled_back.is_empty(), rolls_back, "{shape:?}");
    }
}

#[tokio::test]
async fn rows_overtake_each_other() {
    let (_server, pool) = server(PostgresVersion::Distribution).await;
    let ledger = Writers::on(&pool, ["one"])
        .transactions(400)
        .start()
        .await
        .finish()
        .await;
    // A relay that goes by seq or by xid would be caught: among the events of some key, one precedes another
    // with a lower xid, and one committed after another with a higher seq had.
    let rows = sqlx::query("SELECT id, seq, xid::text::bigint FROM outbox_messages")
        .fetch_all(&pool)
        .await
        .unwrap();
    let place: std::collections::HashMap<Uuid, (i64, i64)> = rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect();
    let committed = &ledger.committed;
    let pairs = || {
        committed
            .iter()
            .flat_map(|a| committed.iter().map(move |b| (a, b)))
    };
    let by_xid = pairs().filter(|(a, b)| {
        a.event.key == b.event.key
            && a.written.committed < b.written.inserted
            && place[&a.event.id].1 > place[&b.event.id].1
    });
    assert!(by_xid.count() > 10);
    let by_seq = pairs().filter(|(a, b)| {
        a.written.committed < b.written.committed && place[&a.event.id].0 > place[&b.event.id].0
    });
    assert!(by_seq.count() > 10);
}

#[tokio::test]
async fn what_became_of_lost_commits_is_found_out() {
    // GIVEN writers at work
    let (mut server, pool) = server(PostgresVersion::Distribution).await;
    let writers = Writers::on(&pool, ["one"])
        .transactions(u64::MAX)
        .through_faults()
        .start()
        .await;
    let more_than = async |count: usize| {
        wait_until("commits", Duration::from_secs(60), async || {
            (writers.committed() > count).then_some(())
        })
        .await;
    };
    // WHEN the server crashes, is restarted, and loses all its connections
    more_than(300).await;
    server.kill();
    server.restart().await;
    let before = writers.committed();
    more_than(before + 300).await;
    server.restart().await;
    let before = writers.committed();
    more_than(before + 300).await;
    server.terminate_connections().await;
    let before = writers.committed();
    more_than(before + 300).await;

    // THEN the ledger is still right
    let ledger = writers.stop().await;
    assert_same_as_table(&ledger, &pool).await;
}
