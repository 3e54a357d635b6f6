//! The library's own way to make and check them.

use super::*;

#[tokio::test]
async fn migrate_makes_the_tables_once() {
    let database = database().await;
    let first = migrate(&database.pool, &Tables::default()).await.unwrap();
    let second = migrate(&database.pool, &Tables::default()).await.unwrap();
    assert_eq!((first, second), (Migrated::Applied, Migrated::UpToDate));
    assert_eq!(
        tables(&database.pool).await,
        [
            "outbox_audit",
            "outbox_controls",
            "outbox_cursor",
            "outbox_dead_letters",
            "outbox_delete_guard",
            "outbox_inbox",
            "outbox_inbox_dead_letters",
            "outbox_lease",
            "outbox_messages",
            "outbox_schema"
        ]
    );
    for one_row in [
        "outbox_lease",
        "outbox_cursor",
        "outbox_delete_guard",
        "outbox_schema",
    ] {
        assert_eq!(count(&database.pool, one_row).await, 1, "{one_row}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_applies_and_none_fails() {
    let database = database().await;
    let all = (0..8).map(|_| {
        let pool = database.pool.clone();
        tokio::spawn(async move { migrate(&pool, &Tables::default()).await })
    });
    let mut applied = 0;
    for one in all.collect::<Vec<_>>() {
        applied += usize::from(one.await.unwrap().unwrap() == Migrated::Applied);
    }
    assert_eq!(applied, 1);
}

#[tokio::test]
async fn two_logs_live_side_by_side() {
    let database = migrated().await;
    let other = Tables::new(None, "billing_").unwrap();
    assert_eq!(migrate(&database.pool, &other).await.unwrap(), Migrated::Applied);
    assert_eq!(count(&database.pool, "billing_cursor").await, 1);
    let main = Tables::new(Some("main"), "third_").unwrap();
    assert_eq!(migrate(&database.pool, &main).await.unwrap(), Migrated::Applied);
    assert_eq!(migrate(&database.pool, &main).await.unwrap(), Migrated::UpToDate);
}

#[tokio::test]
async fn the_check_says_what_to_run() {
    let database = database().await;
    let mut connection = database.pool.acquire().await.unwrap();
    let billing = Tables::new(None, "billing_").unwrap();
    let error = check_schema::<Sqlite>(&mut connection, &billing)
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Missing { .. }));
    assert!(
        error
            .to_string()
            .contains("outbox migrate --prefix billing_ --database-url"),
        "{error}"
    );

    migrate(&database.pool, &Tables::default()).await.unwrap();
    check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap();

    run(&database.pool, "UPDATE outbox_schema SET version = 0")
        .await
        .unwrap();
    let older = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");

    run(
        &database.pool,
        "UPDATE outbox_schema SET version = 8, oldest_program = NULL",
    )
    .await
    .unwrap();
    let newer = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(newer, SchemaError::Newer { found: 8, .. }), "{newer}");
    let refused = migrate(&database.pool, &Tables::default()).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Newer { found: 8, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn newer_tables_that_only_added_something_are_worked_with_and_left_as_they_are() {
    let database = migrated().await;
    run(&database.pool, NextTables::LeaveThisOne.migration())
        .await
        .unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let found = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap();
    assert_eq!(
        (found.fit(), found.number(), found.oldest_program()),
        (Fit::Added, NextTables::VERSION, SCHEMA_VERSION)
    );
    drop(connection);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Newer(found)
    );
    assert_eq!(
        count(&database.pool, "outbox_schema").await,
        2,
        "nothing was written"
    );
    // The next version but one may leave nobody.
    run(&database.pool, "INSERT INTO outbox_schema (version) VALUES (999)")
        .await
        .unwrap();
    let refused = migrate(&database.pool, &Tables::default()).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Newer { found: 999, .. }),
        "{refused}"
    );
}

/// Nobody works with those: they are to be migrated, and say so.
#[tokio::test]
async fn the_version_before_versions_told_who_works_with_them_is_read() {
    let database = database().await;
    let history = Migration::history(Dialect::Sqlite, &Tables::default(), 6);
    run(&database.pool, history[0].up()).await.unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let error = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Older { found: 6, .. }), "{error}");
    assert!(error.to_string().contains("outbox migrate"), "{error}");
    drop(connection);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
}
