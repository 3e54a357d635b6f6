//! A log in a file: at home wherever it is, and no different from its copy.

use outbox_tests::TestDatabase;
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool};

use crate::scene::outbox;

async fn log() -> TestDatabase<Sqlite> {
    let database = TestDatabase::sqlite().await;
    run(
        &database.pool,
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20)
         INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', 'k', 'E', 't', '{}' FROM n;
         UPDATE outbox_cursor SET high = 12, epoch = 7; UPDATE outbox_lease SET epoch = 7;",
    )
    .await;
    database
}

async fn run(pool: &SqlitePool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap();
}

async fn high(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT high FROM outbox_cursor")
        .fetch_one(pool)
        .await
        .unwrap()
}

fn url(database: &TestDatabase<Sqlite>) -> String {
    format!(
        "sqlite:{}",
        database.pool.connect_options().get_filename().display()
    )
}

#[tokio::test]
async fn there_is_nothing_to_adopt_but_lost_rows() {
    let database = log().await;
    let url = url(&database);
    let adopted = outbox(&format!("adopt -D {url}")).await.done();
    assert!(adopted.starts_with("nothing to do"), "{adopted}");
    run(&database.pool, "DELETE FROM outbox_lease").await;
    let mended = outbox(&format!("adopt -D {url}")).await.done();
    assert!(
        mended.contains("to send    8 messages\ndelivered  12 messages"),
        "{mended}"
    );
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM outbox_lease")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(epoch, 7);
    for (decision, expected) in [("send", 0), ("skip", 20)] {
        run(&database.pool, "DELETE FROM outbox_cursor").await;
        let relay = format!("relay -D {url} --brokers 127.0.0.1:1 --until-empty --lease-ttl 300ms");
        outbox(&relay)
            .await
            .fails(1, &["lost its one row", "--without-cursor send"]);
        outbox(&format!("adopt -D {url}"))
            .await
            .fails(2, &["--without-cursor"]);
        outbox(&format!("adopt -D {url} --without-cursor {decision}"))
            .await
            .done();
        assert_eq!(high(&database.pool).await, expected);
    }
}

#[tokio::test]
async fn a_copied_file_is_forked_when_it_is_called_a_copy() {
    let database = log().await;
    let url = url(&database);
    outbox(&format!("fork -D {url}"))
        .await
        .fails(2, &["--physical-copy"]);
    outbox(&format!("fork -D {url} --physical-copy --dry-run"))
        .await
        .done();
    assert_eq!(high(&database.pool).await, 12, "a dry run changed something");
    outbox(&format!("fork -D {url} --physical-copy --send-backlog"))
        .await
        .done();
    assert_eq!(high(&database.pool).await, 12);
    let forked = outbox(&format!("fork -D {url} --physical-copy")).await.done();
    assert!(
        forked.contains("to send    0 messages\ndelivered  20 messages\nskipped    8 of these"),
        "{forked}"
    );
    assert_eq!(high(&database.pool).await, 20);
}

#[tokio::test]
async fn numbers_that_went_back_below_the_cursor_stop_the_relay() {
    for reset in [
        "DELETE FROM outbox_messages; DELETE FROM sqlite_sequence WHERE name = 'outbox_messages'",
        "DELETE FROM outbox_messages; UPDATE sqlite_sequence SET seq = 3 WHERE name = 'outbox_messages'",
    ] {
        let database = log().await;
        let url = url(&database);
        run(&database.pool, "UPDATE outbox_cursor SET high = 20").await;
        run(&database.pool, reset).await;
        run(
            &database.pool,
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('order', 'k', 'E', 't', '{}')",
        )
        .await;
        let relay = format!("relay -D {url} --brokers 127.0.0.1:1 --until-empty --lease-ttl 300ms");
        outbox(&relay)
            .await
            .fails(1, &["went back", "--without-cursor send", "skip"]);
        outbox(&format!("adopt -D {url} --without-cursor send"))
            .await
            .done();
        let status = outbox(&format!("status --json -D {url}")).await.done();
        assert!(status.contains(r#""messages":1"#), "{status}");
    }
}
