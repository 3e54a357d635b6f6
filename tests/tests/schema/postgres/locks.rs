//! A migration beside transactions that keep locks for long: others go on, and it says whom it waits for.

use std::process::Stdio;
use std::time::Duration;

use outbox_tests::wait_until;

use super::*;

on_all_versions! {
    a_file_waits_in_short_attempts_and_names_who_holds_the_lock,
    migrate_waits_in_short_attempts,
}

const LIMIT: Duration = Duration::from_secs(60);

async fn of_version_2(version: PostgresVersion) -> TestDatabase<Postgres> {
    let database = database(version).await;
    let history = Migration::history(Dialect::Postgres, &Tables::default(), 2);
    run(&database.pool, history[0].up()).await.unwrap();
    database
}

/// A transaction that keeps what `statement` locks.
async fn holder<'a>(pool: &'a PgPool, statement: &'static str) -> sqlx::Transaction<'a, Postgres> {
    let mut holder = pool.begin().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut *holder).await.unwrap();
    holder
}

/// Until the migration has waited for a lock and given it up again, a writer gets through; each within seconds.
async fn writers_get_through(pool: &PgPool) {
    for _ in 0..5 {
        let insert = format!("BEGIN; SET LOCAL statement_timeout = '10s'; {INSERT}; COMMIT");
        run(pool, insert)
            .await
            .expect("a writer does not wait behind the migration");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn until_waiting(pool: &PgPool) {
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type IN ('Lock', 'Timeout') \
                   AND query NOT LIKE '%pg_stat_activity%'";
    wait_until("the migration to wait", LIMIT, async || {
        (count(pool, waiting).await > 0).then_some(())
    })
    .await;
}

async fn a_file_waits_in_short_attempts_and_names_who_holds_the_lock(version: PostgresVersion) {
    let database = of_version_2(version).await;
    let open = holder(&database.pool, INSERT).await;
    let dir = written_since(2, Dialect::Postgres, &Tables::default());
    let upgrade = Migration::upgrades(Dialect::Postgres, &Tables::default(), 2).remove(0);
    let psql = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            &database.url(),
            "-f",
        ])
        .arg(dir.path().join(upgrade.up_file()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until_waiting(&database.pool).await;
    writers_get_through(&database.pool).await;
    open.rollback().await.unwrap();
    let ended = tokio::task::spawn_blocking(|| psql.wait_with_output().unwrap())
        .await
        .unwrap();
    let said = text(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(
        said.contains("waiting for the locks of pid ") && said.contains("INSERT INTO outbox_messages"),
        "{said}"
    );
    assert_eq!(
        count(&database.pool, "outbox_schema WHERE version = 3").await,
        1,
        "the file's step is done"
    );
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied,
        "the steps after it"
    );
}

/// The older step's file has no bound of its own.
async fn migrate_waits_in_short_attempts(version: PostgresVersion) {
    let database = database(version).await;
    let history = Migration::history(Dialect::Postgres, &Tables::default(), 1);
    run(&database.pool, history[0].up()).await.unwrap();
    let reader = holder(&database.pool, "SELECT FROM outbox_cursor").await;
    let pool = database.pool.clone();
    let migrating = tokio::spawn(async move { migrate(&pool, &Tables::default()).await });
    until_waiting(&database.pool).await;
    // Reading the cursor is what a relay does.
    for _ in 0..5 {
        let read = "BEGIN; SET LOCAL statement_timeout = '10s'; SELECT FROM outbox_cursor; COMMIT";
        run(&database.pool, read)
            .await
            .expect("a relay does not wait behind the migration");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    reader.rollback().await.unwrap();
    assert_eq!(migrating.await.unwrap().unwrap(), Migrated::Applied);
}
