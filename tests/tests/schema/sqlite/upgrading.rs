//! From version 1 to this one, and back.

use super::*;

/// Version 1, as its own toolkit made it.
async fn of_version_1() -> Database {
    let database = database().await;
    let history = Migration::history(Dialect::Sqlite, &Tables::default(), 1);
    run(&database.pool, history[0].up()).await.unwrap();
    database
}

/// The statements that made what is there.
async fn definition(pool: &SqlitePool) -> Vec<String> {
    let all = "SELECT replace(coalesce(sql, name), 'CREATE TABLE outbox', 'CREATE TABLE \"outbox') \
               FROM sqlite_master WHERE name LIKE '%outbox%' ORDER BY name";
    sqlx::query_scalar(all).fetch_all(pool).await.unwrap()
}

fn upgrades() -> Vec<Migration> {
    Migration::upgrades(Dialect::Sqlite, &Tables::default(), 1)
}

/// Back to version 2. While something is paused, nobody gets there.
async fn back_to_version_2(database: &Database) {
    let [_, third, fourth, fifth, sixth, newest] = &upgrades()[..] else {
        panic!("six steps lead here from version 1");
    };
    let paused = "INSERT INTO outbox_controls (control, scope, name, changed_by, reason) \
                  VALUES ('pause', 'topic', 't', 'me', 'why')";
    let throttled = "INSERT INTO outbox_controls (control, scope, name, value, changed_by, reason) \
                     VALUES ('throttle', 'topic', 't', '{}', 'me', 'why')";
    run(&database.pool, paused).await.unwrap();
    run(&database.pool, throttled).await.unwrap();
    // Repeated where it is done already, it forgets nothing.
    run(&database.pool, sixth.up()).await.unwrap();
    run(&database.pool, newest.up()).await.unwrap();
    assert_eq!(
        count(&database.pool, "outbox_schema WHERE oldest_program = 7").await,
        1
    );
    run(&database.pool, newest.down()).await.unwrap();
    assert_eq!(
        count(&database.pool, "outbox_controls WHERE value = '{}'").await,
        1
    );
    let file = database.file.with_extension("newest.sql");
    std::fs::write(&file, sixth.down()).unwrap();
    let refused = text(&shell(&database.file, &file).stderr);
    assert!(refused.contains("throttles are in force"), "{refused}");
    run(
        &database.pool,
        "DELETE FROM outbox_controls WHERE control = 'throttle'",
    )
    .await
    .unwrap();
    run(&database.pool, sixth.down()).await.unwrap();
    run(&database.pool, fifth.down()).await.unwrap();
    let before = definition(&database.pool).await;
    let file = database.file.with_extension("down.sql");
    std::fs::write(&file, fourth.down()).unwrap();
    let refused = text(&shell(&database.file, &file).stderr);
    assert!(refused.contains("pauses are in force"), "{refused}");
    assert_eq!(definition(&database.pool).await, before);
    run(&database.pool, "DELETE FROM outbox_controls").await.unwrap();
    run(&database.pool, fourth.down()).await.unwrap();
    run(&database.pool, third.down()).await.unwrap();
}

/// Two dead letters, the second message's first.
const DEAD: &str = "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, \
                    content_type, occurred_at, state, reason, error) \
                    SELECT id, seq, aggregate_type, aggregate_id, event_type, topic, content_type, occurred_at, \
                    'dead', 'r', 'e' FROM outbox_messages WHERE seq <= 2 ORDER BY seq DESC";

async fn in_use(database: &Database) {
    run(
        &database.pool,
        format!("{INSERT}; {INSERT}; {INSERT}; {DEAD}; UPDATE outbox_cursor SET high = 2"),
    )
    .await
    .unwrap();
}

/// Messages, how far the relay is, and dead letters in their order, as text.
async fn data(pool: &SqlitePool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT * FROM (SELECT seq || id || payload || occurred_at FROM outbox_messages ORDER BY seq)
         UNION ALL SELECT log_id || high FROM outbox_cursor
         UNION ALL SELECT * FROM (SELECT id || seq || error FROM outbox_dead_letters ORDER BY rowid)",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn both_ways_lead_to_the_same_tables() {
    let created = definition(&migrated().await.pool).await;
    assert!(created.len() > 8, "{created:#?}");
    let database = of_version_1().await;
    let first = definition(&database.pool).await;
    // The second time each step is harmless, and so are all of them where everything is done already.
    for _ in 0..2 {
        for upgrade in upgrades() {
            run(&database.pool, upgrade.up()).await.unwrap();
            run(&database.pool, upgrade.up()).await.unwrap();
        }
        assert_eq!(definition(&database.pool).await, created);
    }
    for upgrade in upgrades().iter().rev() {
        run(&database.pool, upgrade.down()).await.unwrap();
    }
    assert_eq!(definition(&database.pool).await, first);
}

#[tokio::test]
async fn an_upgrade_loses_nothing_however_often_it_is_repeated_and_can_be_taken_back() {
    // GIVEN a log of version 1 that was in use
    let database = of_version_1().await;
    in_use(&database).await;
    let before = data(&database.pool).await;
    assert_eq!(before.len(), 6);

    // WHEN sqlx finds both files, and the first one's work done
    let dir = written_since(1, Dialect::Sqlite, &Tables::default());
    let migrator = migrator(dir.path()).await;
    migrator.run(&database.pool).await.unwrap();

    // THEN all is there
    assert_eq!(data(&database.pool).await, before);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );

    // WHEN it is repeated on tables that are in use
    let mark = "UPDATE outbox_dead_letters SET replay_requested_at = 'now' WHERE seq = 1";
    run(&database.pool, mark).await.unwrap();
    for upgrade in upgrades() {
        run(&database.pool, upgrade.up()).await.unwrap();
    }
    // THEN nothing is forgotten
    let marked: Vec<(i64, Option<String>)> =
        sqlx::query_as("SELECT position, replay_requested_at FROM outbox_dead_letters ORDER BY position")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(marked, [(1, None), (2, Some("now".to_owned()))]);

    run(
        &database.pool,
        "UPDATE outbox_dead_letters SET replay_requested_at = NULL",
    )
    .await
    .unwrap();
    migrator.undo(&database.pool, 20_250_101_000_000).await.unwrap();
    assert_eq!(data(&database.pool).await, before);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
    assert_eq!(data(&database.pool).await, before);
}

#[tokio::test]
async fn going_back_is_refused_while_something_would_be_forgotten() {
    let database = migrated().await;
    in_use(&database).await;
    back_to_version_2(&database).await;
    let file = database.file.with_extension("sql");
    let back = upgrades().remove(0).down().to_owned();
    std::fs::write(&file, &back).unwrap();
    for (something, undone) in [
        (
            "INSERT INTO outbox_inbox VALUES ('c', 'm', 'now')",
            "DELETE FROM outbox_inbox",
        ),
        (
            "UPDATE outbox_dead_letters SET replay_requested_at = 'now'",
            "UPDATE outbox_dead_letters SET replay_requested_at = NULL",
        ),
    ] {
        run(&database.pool, something).await.unwrap();
        let before = definition(&database.pool).await;
        // The shell goes on after errors: nothing may be changed all the same.
        let refused = text(&shell(&database.file, &file).stderr);
        assert!(refused.contains("would be forgotten"), "{refused}");
        assert_eq!(definition(&database.pool).await, before);
        run(&database.pool, undone).await.unwrap();
    }
    run(
        &database.pool,
        "INSERT INTO outbox_inbox VALUES ('c', 'm', 'now')",
    )
    .await
    .unwrap();
    std::fs::write(&file, back.replace("-- DELETE", "DELETE")).unwrap();
    let output = shell(&database.file, &file);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(count(&database.pool, "outbox_dead_letters").await, 2);
}

#[tokio::test]
async fn the_file_for_nothing_refuses_older_tables_and_changes_nothing() {
    let database = of_version_1().await;
    in_use(&database).await;
    let (before, rows) = (definition(&database.pool).await, data(&database.pool).await);
    let create = Migration::create(Dialect::Sqlite, &Tables::default());
    let dir = written(Dialect::Sqlite, &Tables::default());
    let refused = migrator(dir.path())
        .await
        .run(&database.pool)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("older version") && refused.contains("run `outbox migrate`"),
        "{refused}"
    );
    let refused = text(&shell(&database.file, &dir.path().join(create.up_file())).stderr);
    assert!(refused.contains("run `outbox migrate`"), "{refused}");
    assert_eq!(definition(&database.pool).await, before);
    assert_eq!(data(&database.pool).await, rows);
    assert_eq!(count(&database.pool, "outbox_schema WHERE version > 1").await, 0);
}
