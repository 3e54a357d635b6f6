//! The files, applied by sqlx and by the `psql`, and taken back.

use super::*;

on_all_versions! {
    the_files_go_up_and_down_through_sqlx_and_mix_with_migrate,
    down_refuses_while_something_would_be_lost,
    psql_applies_the_files_and_keeps_undelivered_messages,
}

async fn the_files_go_up_and_down_through_sqlx_and_mix_with_migrate(version: PostgresVersion) {
    for tables_named in [
        Tables::default(),
        Tables::new(Some("billing"), "events_").unwrap(),
    ] {
        let database = database(version).await;
        let dir = written(Dialect::Postgres, &tables_named);
        let migrator = migrator(dir.path()).await;
        let schema = tables_named.schema().unwrap_or("public");

        migrator.run(&database.pool).await.unwrap();
        assert_eq!(
            migrate(&database.pool, &tables_named).await.unwrap(),
            Migrated::UpToDate
        );
        migrator.undo(&database.pool, 0).await.unwrap();
        assert!(tables(&database.pool, schema).await.is_empty());

        assert_eq!(
            migrate(&database.pool, &tables_named).await.unwrap(),
            Migrated::Applied
        );
        assert_eq!(count(&database.pool, "_sqlx_migrations").await, 0);
        migrator.run(&database.pool).await.unwrap();
        assert_eq!(count(&database.pool, &tables_named.cursor()).await, 1);
    }
}

async fn down_refuses_while_something_would_be_lost(version: PostgresVersion) {
    let database = database(version).await;
    let dir = written(Dialect::Postgres, &Tables::default());
    let migrator = migrator(dir.path()).await;
    migrator.run(&database.pool).await.unwrap();
    // A connection of its own, as sqlx-cli has: after an error sqlx leaves its session lock behind.
    let refusal = async || {
        let mut connection = sqlx::PgConnection::connect(&database.url()).await.unwrap();
        format!("{:?}", migrator.undo(&mut connection, 0).await.unwrap_err())
    };

    // GIVEN nothing was relayed yet
    run(&database.pool, INSERT).await.unwrap();
    let error = refusal().await;
    assert!(
        error.contains("1 undelivered message(s) and 0 dead letter(s) would be lost"),
        "{error}"
    );
    assert!(error.contains("outbox relay --until-empty"), "{error}");

    // GIVEN the cursor has passed the first row, and a second one came
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), high = (SELECT max(seq) FROM outbox_messages)",
    )
    .await
    .unwrap();
    run(&database.pool, INSERT).await.unwrap();
    assert!(refusal().await.contains("1 undelivered message(s)"));

    // GIVEN a cursor that was written in another cluster
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), high = (SELECT max(seq) FROM outbox_messages), \
         system_identifier = '1'",
    )
    .await
    .unwrap();
    assert!(refusal().await.contains("2 undelivered message(s)"));
    run(
        &database.pool,
        "UPDATE outbox_cursor SET system_identifier = (SELECT s.system_identifier FROM pg_control_system() s)",
    )
    .await
    .unwrap();

    // GIVEN only a dead letter
    run(
        &database.pool,
        "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(); \
         INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, \
         content_type, occurred_at, state, reason, error) \
         SELECT id, seq, aggregate_type, aggregate_id, event_type, topic, content_type, occurred_at, 'dead', \
         'r', 'e' FROM outbox_messages LIMIT 1",
    )
    .await
    .unwrap();
    assert!(
        refusal()
            .await
            .contains("0 undelivered message(s) and 1 dead letter(s)")
    );
    assert_eq!(tables(&database.pool, "public").await, TABLES);

    run(&database.pool, "DELETE FROM outbox_dead_letters")
        .await
        .unwrap();
    migrator.undo(&database.pool, 0).await.unwrap();
    assert!(tables(&database.pool, "public").await.is_empty());
}

async fn psql_applies_the_files_and_keeps_undelivered_messages(version: PostgresVersion) {
    let migration = Migration::create(Dialect::Postgres, &Tables::default());
    for options in [&["-1"][..], &[]] {
        let database = database(version).await;
        let dir = written(Dialect::Postgres, &Tables::default());
        let (up, down) = (
            dir.path().join(migration.up_file()),
            dir.path().join(migration.down_file()),
        );

        let output = psql(&database, options, &up);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
        let again = psql(&database, options, &up);
        assert!(!text(&again.stderr).contains("ERROR"), "{}", text(&again.stderr));
        assert_eq!(
            migrate(&database.pool, &Tables::default()).await.unwrap(),
            Migrated::UpToDate
        );

        run(&database.pool, INSERT).await.unwrap();
        let refused = text(&psql(&database, options, &down).stderr);
        assert!(
            refused.contains("1 undelivered message(s)") && refused.contains("HINT"),
            "{refused}"
        );
        assert_eq!(tables(&database.pool, "public").await, TABLES);

        // GIVEN the comment's statement is uncommented
        std::fs::write(&down, migration.down().replace("-- SET outbox", "SET outbox")).unwrap();
        let output = psql(&database, options, &down);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            text(&output.stderr)
        );
        assert!(tables(&database.pool, "public").await.is_empty());
    }
}
