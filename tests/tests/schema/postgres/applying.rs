//! The library's own way to make and check them.

use super::*;

on_all_versions! {
    migrate_makes_the_tables_once,
    of_many_at_once_one_applies_and_none_fails,
    a_role_that_may_create_nothing_can_call_migrate_on_a_migrated_database,
    a_named_schema_is_created_and_an_existing_one_is_used_without_the_right_to_create_one,
    the_check_says_what_to_run,
    newer_tables_that_only_added_something_are_worked_with_and_left_as_they_are,
    the_version_before_versions_told_who_works_with_them_is_read,
}

async fn migrate_makes_the_tables_once(version: PostgresVersion) {
    let database = database(version).await;
    let first = migrate(&database.pool, &Tables::default()).await.unwrap();
    let second = migrate(&database.pool, &Tables::default()).await.unwrap();
    assert_eq!((first, second), (Migrated::Applied, Migrated::UpToDate));
    assert_eq!(tables(&database.pool, "public").await, TABLES);
    for one_row in ["outbox_lease", "outbox_cursor", "outbox_schema"] {
        assert_eq!(count(&database.pool, one_row).await, 1, "{one_row}");
    }
}

async fn of_many_at_once_one_applies_and_none_fails(version: PostgresVersion) {
    let database = database(version).await;
    // Whatever the server's default isolation is.
    run(
        &database.pool,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', \
         current_database()); END $$",
    )
    .await
    .unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .connect(&database.url())
        .await
        .unwrap();
    for tables in [
        Tables::default(),
        Tables::new(Some("billing"), "events_").unwrap(),
    ] {
        let all = (0..8).map(|_| {
            let (pool, tables) = (pool.clone(), tables.clone());
            tokio::spawn(async move { migrate(&pool, &tables).await })
        });
        let mut applied = 0;
        for one in all.collect::<Vec<_>>() {
            applied += usize::from(one.await.unwrap().unwrap() == Migrated::Applied);
        }
        assert_eq!(applied, 1);
    }
}

async fn a_role_that_may_create_nothing_can_call_migrate_on_a_migrated_database(version: PostgresVersion) {
    let database = migrated(version).await;
    let role = format!("reader_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!("CREATE ROLE {role}; GRANT SELECT ON outbox_schema TO {role}"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("role", &role)]))
        .await
        .unwrap();
    assert_eq!(
        migrate(&pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );
    drop_role(&database.pool, &role).await;
}

async fn a_named_schema_is_created_and_an_existing_one_is_used_without_the_right_to_create_one(
    version: PostgresVersion,
) {
    let database = database(version).await;
    let billing = Tables::new(Some("billing"), "outbox_").unwrap();
    assert_eq!(
        migrate(&database.pool, &billing).await.unwrap(),
        Migrated::Applied
    );
    assert_eq!(tables(&database.pool, "billing").await, TABLES);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );

    let role = format!("owner_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!("CREATE ROLE {role}; CREATE SCHEMA sales AUTHORIZATION {role}"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .connect_with(options.options([("role", &role)]))
        .await
        .unwrap();
    let sales = Tables::new(Some("sales"), "outbox_").unwrap();
    assert_eq!(migrate(&pool, &sales).await.unwrap(), Migrated::Applied);
    drop_role(&database.pool, &role).await;
}

async fn the_check_says_what_to_run(version: PostgresVersion) {
    let database = database(version).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let billing = Tables::new(Some("billing"), "events_").unwrap();
    let error = check_schema::<Postgres>(&mut connection, &billing)
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Missing { .. }));
    let text = error.to_string();
    assert!(
        text.contains("outbox migrate --schema billing --prefix events_ --database-url"),
        "{text}"
    );

    migrate(&database.pool, &Tables::default()).await.unwrap();
    check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();

    run(&database.pool, "UPDATE outbox_schema SET version = 0")
        .await
        .unwrap();
    let older = check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(older, SchemaError::Older { found: 0, .. }), "{older}");

    run(
        &database.pool,
        "UPDATE outbox_schema SET version = 8, oldest_program = NULL",
    )
    .await
    .unwrap();
    let newer = check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(newer, SchemaError::Newer { found: 8, .. }), "{newer}");
    let refused = migrate(&database.pool, &Tables::default()).await.unwrap_err();
    assert!(
        matches!(refused, SchemaError::Newer { found: 8, .. }),
        "{refused}"
    );
}

async fn newer_tables_that_only_added_something_are_worked_with_and_left_as_they_are(
    version: PostgresVersion,
) {
    let database = migrated(version).await;
    run(&database.pool, NextTables::LeaveThisOne.migration())
        .await
        .unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let found = check_schema::<Postgres>(&mut connection, &Tables::default())
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
async fn the_version_before_versions_told_who_works_with_them_is_read(version: PostgresVersion) {
    let database = database(version).await;
    let history = Migration::history(Dialect::Postgres, &Tables::default(), 6);
    run(&database.pool, history[0].up()).await.unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let error = check_schema::<Postgres>(&mut connection, &Tables::default())
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
