//! From version 1 to this one, and back.

use super::*;

on_all_versions! {
    both_ways_lead_to_the_same_tables,
    an_upgrade_loses_nothing_and_can_be_taken_back,
    going_back_is_refused_while_something_would_be_forgotten,
    the_file_for_nothing_refuses_older_tables_and_changes_nothing,
    migrate_upgrades_what_it_finds,
}

/// Version 1, as its own toolkit made it.
async fn of_version_1(version: PostgresVersion) -> TestDatabase<Postgres> {
    let database = database(version).await;
    let history = Migration::history(Dialect::Postgres, &Tables::default(), 1);
    run(&database.pool, history[0].up()).await.unwrap();
    database
}

/// Everything that the catalog says about the tables, a line for each thing.
async fn definition(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT line FROM (
           SELECT format('%s column %s: %s %s default %s, not null %s, identity %s, storage %s', c.relname, a.attnum - dropped,
                         a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),
                         a.attnotnull, a.attidentity, a.attstorage)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           CROSS JOIN LATERAL (SELECT count(*) AS dropped FROM pg_attribute gone
                               WHERE gone.attrelid = c.oid AND gone.attisdropped AND gone.attnum BETWEEN 1 AND a.attnum) gone
           LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
           WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           UNION ALL
           SELECT format('%s constraint %s: %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
           FROM pg_constraint WHERE connamespace = 'public'::regnamespace
           UNION ALL
           SELECT format('%s index %s', tablename, indexdef) FROM pg_indexes WHERE schemaname = 'public'
           UNION ALL
           SELECT format('sequence %s: %s', sequencename, data_type) FROM pg_sequences WHERE schemaname = 'public'
           UNION ALL
           SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
           UNION ALL
           SELECT format('function %s: %s', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
         ) AS lines(line) WHERE line NOT LIKE '%_sqlx_migrations%' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn both_ways_lead_to_the_same_tables(version: PostgresVersion) {
    let created = definition(&migrated(version).await.pool).await;
    assert!(created.len() > 60, "{created:#?}");

    let database = of_version_1(version).await;
    let first = definition(&database.pool).await;
    let upgrades = Migration::upgrades(Dialect::Postgres, &Tables::default(), 1);
    // The second time each step is harmless, and so are all of them where everything is done already.
    for _ in 0..2 {
        for migration in &upgrades {
            run(&database.pool, migration.up()).await.unwrap();
            run(&database.pool, migration.up()).await.unwrap();
        }
        assert_eq!(definition(&database.pool).await, created);
    }
    for migration in upgrades.iter().rev() {
        run(&database.pool, migration.down()).await.unwrap();
    }
    assert_eq!(definition(&database.pool).await, first);
}

const DEAD: &str = "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, \
                    content_type, occurred_at, state, reason, error) \
                    SELECT id, seq, aggregate_type, aggregate_id, event_type, topic, content_type, occurred_at, \
                    'dead', 'r', 'e' FROM outbox_messages WHERE seq <= 2 ORDER BY seq DESC";

/// Messages, how far the relay is, and dead letters, as text.
async fn data(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT row_to_json(m)::text FROM outbox_messages m
         UNION ALL SELECT format('%s %s %s', log_id, from_snapshot, high) FROM outbox_cursor
         UNION ALL SELECT format('%s %s %s', id, seq, error) FROM outbox_dead_letters",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn an_upgrade_loses_nothing_and_can_be_taken_back(version: PostgresVersion) {
    // GIVEN a log of version 1 that was in use, and whose migrations are sqlx's
    let database = database(version).await;
    let dir = written_since(1, Dialect::Postgres, &Tables::default());
    let all = migrator(dir.path()).await;
    let first = written_since(1, Dialect::Postgres, &Tables::default());
    for migration in Migration::upgrades(Dialect::Postgres, &Tables::default(), 1) {
        std::fs::remove_file(first.path().join(migration.up_file())).unwrap();
        std::fs::remove_file(first.path().join(migration.down_file())).unwrap();
    }
    migrator(first.path()).await.run(&database.pool).await.unwrap();
    for _ in 0..3 {
        run(&database.pool, INSERT).await.unwrap();
    }
    run(
        &database.pool,
        format!("{DEAD}; UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), high = 3"),
    )
    .await
    .unwrap();
    let before = data(&database.pool).await;

    // WHEN the rest is applied
    all.run(&database.pool).await.unwrap();

    // THEN all is there, the dead letters in the order in which they came
    assert_eq!(data(&database.pool).await, before);
    let seqs: Vec<i64> = sqlx::query_scalar("SELECT seq FROM outbox_dead_letters ORDER BY position")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(seqs, [2, 1]);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::UpToDate
    );

    all.undo(&database.pool, 20_250_101_000_000).await.unwrap();
    assert_eq!(data(&database.pool).await, before);
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
}

const PAUSED: &str = "INSERT INTO outbox_controls (control, scope, name, changed_by, reason) \
                      VALUES ('pause', 'topic', 't', 'me', 'why')";

const KEY_PAUSED: &str = "INSERT INTO outbox_controls (control, scope, name, changed_by, reason) \
                          VALUES ('pause', 'key', 't/k', 'me', 'why')";

const THROTTLED: &str = "INSERT INTO outbox_controls (control, scope, name, value, changed_by, reason) \
                         VALUES ('throttle', 'log', '', '{}', 'me', 'why')";

const DIRECT: &str = "INSERT INTO outbox_modes (scope, name, mode, changed_by, reason) \
                      VALUES ('topic', 't', 'direct', 'me', 'why')";

async fn going_back_is_refused_while_something_would_be_forgotten(version: PostgresVersion) {
    let database = of_version_1(version).await;
    run(&database.pool, format!("{INSERT}; {DEAD}")).await.unwrap();
    migrate(&database.pool, &Tables::default()).await.unwrap();
    let upgrades = Migration::upgrades(Dialect::Postgres, &Tables::default(), 1);
    let [upgrade, third, fourth, fifth, sixth, newest] = &upgrades[..] else {
        panic!("six steps lead here from version 1");
    };
    run(&database.pool, newest.down()).await.unwrap();
    for decided in [KEY_PAUSED, THROTTLED] {
        run(&database.pool, decided).await.unwrap();
        let error = format!("{:?}", run(&database.pool, sixth.down()).await.unwrap_err());
        assert!(error.contains("throttle(s) are in force"), "{error}");
        run(&database.pool, "DELETE FROM outbox_controls").await.unwrap();
    }
    run(&database.pool, sixth.down()).await.unwrap();
    run(&database.pool, DIRECT).await.unwrap();
    let error = format!("{:?}", run(&database.pool, fifth.down()).await.unwrap_err());
    assert!(error.contains("1 mode(s) are in force"), "{error}");
    run(&database.pool, "UPDATE outbox_modes SET mode = NULL")
        .await
        .unwrap();
    run(&database.pool, fifth.down()).await.unwrap();
    run(&database.pool, PAUSED).await.unwrap();
    let error = format!("{:?}", run(&database.pool, fourth.down()).await.unwrap_err());
    assert!(error.contains("1 pause(s) are in force"), "{error}");
    run(&database.pool, "DELETE FROM outbox_controls").await.unwrap();
    run(&database.pool, fourth.down()).await.unwrap();
    run(&database.pool, third.down()).await.unwrap();
    for (something, undone) in [
        (
            "INSERT INTO outbox_inbox VALUES ('c', 'm')",
            "DELETE FROM outbox_inbox",
        ),
        (
            "UPDATE outbox_dead_letters SET replay_requested_at = now()",
            "UPDATE outbox_dead_letters SET replay_requested_at = NULL",
        ),
    ] {
        run(&database.pool, something).await.unwrap();
        let before = definition(&database.pool).await;
        let error = format!("{:?}", run(&database.pool, upgrade.down()).await.unwrap_err());
        assert!(
            error.contains("would be forgotten") && error.contains("the comment at the top"),
            "{error}"
        );
        assert_eq!(definition(&database.pool).await, before);
        run(&database.pool, undone).await.unwrap();
    }
    run(&database.pool, "INSERT INTO outbox_inbox VALUES ('c', 'm')")
        .await
        .unwrap();
    let forced = upgrade.down().replace("-- TRUNCATE", "TRUNCATE");
    run(&database.pool, forced).await.unwrap();
    assert_eq!(count(&database.pool, "outbox_dead_letters").await, 1);
}

async fn the_file_for_nothing_refuses_older_tables_and_changes_nothing(version: PostgresVersion) {
    let database = of_version_1(version).await;
    let before = definition(&database.pool).await;
    let create = Migration::create(Dialect::Postgres, &Tables::default());
    let error = format!("{:?}", run(&database.pool, create.up()).await.unwrap_err());
    assert!(error.contains("have version 1 already"), "{error}");

    // psql goes on after an error.
    let dir = written(Dialect::Postgres, &Tables::default());
    let output = psql(&database, &[], &dir.path().join(create.up_file()));
    let refused = text(&output.stderr);
    assert!(
        refused.contains("have version 1 already") && refused.contains("Run `outbox migrate`"),
        "{refused}"
    );
    assert_eq!(definition(&database.pool).await, before);
    assert_eq!(count(&database.pool, "outbox_schema WHERE version > 1").await, 0);
}

async fn migrate_upgrades_what_it_finds(version: PostgresVersion) {
    let database = of_version_1(version).await;
    assert_eq!(
        migrate(&database.pool, &Tables::default()).await.unwrap(),
        Migrated::Applied
    );
    let created = definition(&migrated(version).await.pool).await;
    assert_eq!(definition(&database.pool).await, created);
    // The file for nothing is harmless where the tables are of its version, however they came.
    let create = Migration::create(Dialect::Postgres, &Tables::default());
    run(&database.pool, create.up()).await.unwrap();
    assert_eq!(definition(&database.pool).await, created);
}
