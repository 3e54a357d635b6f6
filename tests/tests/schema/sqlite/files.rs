//! The files, applied by sqlx and by the `sqlite3` shell, and taken back.

use super::*;

#[tokio::test]
async fn the_files_go_up_and_down_through_sqlx_and_mix_with_migrate() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migrator = migrator(dir.path()).await;

    migrator.run(&database.pool).await.unwrap();
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool).await.is_empty());

    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
    assert_eq!(count(&database.pool, "_sqlx_migrations").await, 0);
    migrator.run(&database.pool).await.unwrap();
    assert_eq!(count(&database.pool, "outbox_cursor").await, 1);
}

#[tokio::test]
async fn down_refuses_while_something_would_be_lost() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migrator = migrator(dir.path()).await;
    migrator.run(&database.pool).await.unwrap();

    run(&database.pool, INSERT).await.unwrap();
    let error = migrator.undo(&database.pool, 0).await.unwrap_err().to_string();
    assert!(
        error.contains("undelivered messages or dead letters would be lost"),
        "{error}"
    );
    assert_eq!(count(&database.pool, "outbox_messages").await, 1);

    run(
        &database.pool,
        "UPDATE outbox_cursor SET high = 1; INSERT INTO outbox_dead_letters (id, seq, aggregate_type, \
         aggregate_id, event_type, topic, content_type, occurred_at, state, reason, error) \
         VALUES ('x', 1, 'a', 'k', 'E', 't', 'c', 'o', 'dead', 'r', 'e')",
    )
    .await
    .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap_err();

    run(&database.pool, "DELETE FROM outbox_dead_letters")
        .await
        .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool).await.is_empty());
}

#[tokio::test]
async fn the_shell_applies_the_files_and_keeps_undelivered_messages() {
    let database = database().await;
    let dir = written(Dialect::Sqlite, &Tables::default());
    let migration = Migration::create(Dialect::Sqlite, &Tables::default());
    let (up, down) = (
        dir.path().join(migration.up_file()),
        dir.path().join(migration.down_file()),
    );

    for _ in 0..2 {
        let output = shell(&database.file, &up);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    run(&database.pool, INSERT).await.unwrap();

    // The shell goes on after errors: nothing may be dropped all the same.
    let refused = text(&shell(&database.file, &down).stderr);
    assert!(
        refused.contains("would be lost; deliver them with `outbox relay --until-empty`"),
        "{refused}"
    );
    assert_eq!(tables(&database.pool).await.len(), 10);

    // GIVEN the comment's statement is uncommented
    let forced = migration.down().replace("-- UPDATE", "UPDATE");
    std::fs::write(&down, forced).unwrap();
    let output = shell(&database.file, &down);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(tables(&database.pool).await.is_empty());
}
