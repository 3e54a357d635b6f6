//! A database's tables compared with what they should be.

use outbox_runtime::schema::{Severity, compare_schema};

use super::*;

on_all_versions! {
    tables_are_what_they_should_be_however_they_were_made,
    each_thing_that_differs_is_found,
    a_relay_does_not_start_on_a_wrong_column_and_logs_a_missing_index,
    there_are_no_tables_or_older_ones,
}

async fn findings(pool: &PgPool, tables: &Tables) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let comparison = compare_schema::<Postgres>(&mut connection, tables).await.unwrap();
    let findings = comparison.findings.iter();
    findings
        .map(|finding| format!("{}: {finding}", finding.severity))
        .collect()
}

async fn tables_are_what_they_should_be_however_they_were_made(version: PostgresVersion) {
    let nothing = Vec::<String>::new();
    let billing = Tables::new(Some("billing"), "events_").unwrap();
    let database = migrated(version).await;
    migrate(&database.pool, &billing).await.unwrap();
    assert_eq!(findings(&database.pool, &Tables::default()).await, nothing);
    assert_eq!(findings(&database.pool, &billing).await, nothing);

    let upgraded = super::database(version).await;
    let history = Migration::history(Dialect::Postgres, &Tables::default(), 1);
    for migration in &history {
        run(&upgraded.pool, migration.up()).await.unwrap();
    }
    assert_eq!(findings(&upgraded.pool, &Tables::default()).await, nothing);
    run(
        &upgraded.pool,
        "ALTER TABLE outbox_messages ADD COLUMN tenant text; CREATE INDEX mine ON outbox_messages (topic)",
    )
    .await
    .unwrap();
    assert_eq!(findings(&upgraded.pool, &Tables::default()).await, nothing);
}

async fn each_thing_that_differs_is_found(version: PostgresVersion) {
    let database = migrated(version).await;
    for (change, back, expected) in [
        (
            "ALTER TABLE outbox_messages ALTER COLUMN topic TYPE varchar(200)",
            "ALTER TABLE outbox_messages ALTER COLUMN topic TYPE text",
            "error: outbox_messages: column topic is character varying(200) not null, it should be text not null",
        ),
        (
            "ALTER TABLE outbox_messages ALTER COLUMN topic DROP NOT NULL",
            "ALTER TABLE outbox_messages ALTER COLUMN topic SET NOT NULL",
            "error: outbox_messages: column topic is text, it should be text not null",
        ),
        (
            "ALTER TABLE outbox_messages ALTER COLUMN xid DROP DEFAULT",
            "ALTER TABLE outbox_messages ALTER COLUMN xid SET DEFAULT pg_current_xact_id()",
            "error: outbox_messages: column xid is xid8 not null, it should be xid8 not null default pg_current_xact_id()",
        ),
        (
            "ALTER TABLE outbox_messages RENAME COLUMN source TO origin",
            "ALTER TABLE outbox_messages RENAME COLUMN origin TO source",
            "error: outbox_messages: column source is missing, it should be text",
        ),
        (
            "ALTER TABLE outbox_messages ALTER COLUMN seq DROP IDENTITY",
            "ALTER TABLE outbox_messages ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY",
            "error: outbox_messages: column seq is bigint not null, it should be bigint not null generated always as identity",
        ),
        (
            "ALTER TABLE outbox_dead_letters DROP CONSTRAINT outbox_dead_letters_pkey",
            "ALTER TABLE outbox_dead_letters ADD PRIMARY KEY (id, seq)",
            "error: outbox_dead_letters: primary key or unique index (id, seq) is missing",
        ),
        (
            "ALTER TABLE outbox_inbox RENAME TO inbox_away",
            "ALTER TABLE inbox_away RENAME TO outbox_inbox",
            "error: outbox_inbox: the table is missing",
        ),
        (
            "DROP INDEX outbox_messages_xid_seq_idx; CREATE INDEX the_wrong_way ON outbox_messages (seq, xid)",
            "CREATE INDEX any_name ON outbox_messages (xid, seq)",
            "warning: outbox_messages: index (xid, seq) is missing",
        ),
        (
            "ALTER TABLE outbox_messages ALTER COLUMN payload SET STORAGE EXTENDED",
            "ALTER TABLE outbox_messages ALTER COLUMN payload SET STORAGE EXTERNAL",
            "warning: outbox_messages: the storage of column payload is another, it should be external",
        ),
        (
            "ALTER TABLE outbox_messages DROP CONSTRAINT outbox_messages_one_payload",
            "ALTER TABLE outbox_messages ADD CONSTRAINT outbox_messages_one_payload CHECK (payload IS NULL)",
            "warning: outbox_messages: constraint outbox_messages_one_payload is missing",
        ),
        (
            "ALTER TABLE outbox_messages DISABLE TRIGGER keep_undelivered_from_delete",
            "ALTER TABLE outbox_messages ENABLE TRIGGER keep_undelivered_from_delete",
            "warning: outbox_messages: trigger keep_undelivered_from_delete is disabled, it should be enabled: ALTER TABLE \
             outbox_messages ENABLE TRIGGER keep_undelivered_from_delete",
        ),
        (
            "DROP TRIGGER keep_undelivered_from_truncate ON outbox_messages",
            // As the finding says.
            Migration::create(Dialect::Postgres, &Tables::default()).up(),
            "warning: outbox_messages: trigger keep_undelivered_from_truncate is missing, it should be made again by the \
             file that `outbox generate migration` writes into an empty directory",
        ),
    ] {
        run(&database.pool, change).await.unwrap();
        assert_eq!(findings(&database.pool, &Tables::default()).await, [expected]);
        run(&database.pool, back).await.unwrap();
    }
    assert!(findings(&database.pool, &Tables::default()).await.is_empty());
}

async fn a_relay_does_not_start_on_a_wrong_column_and_logs_a_missing_index(version: PostgresVersion) {
    let database = migrated(version).await;
    let mut connection = database.pool.acquire().await.unwrap();
    run(&database.pool, "DROP INDEX outbox_messages_xid_seq_idx")
        .await
        .unwrap();
    check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();
    run(
        &database.pool,
        "ALTER TABLE outbox_messages ALTER COLUMN topic TYPE varchar(9)",
    )
    .await
    .unwrap();
    let error = check_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SchemaError::Different { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("column topic is character varying(9)")
            && text.contains("outbox migration check --database-url"),
        "{text}"
    );
}

async fn there_are_no_tables_or_older_ones(version: PostgresVersion) {
    let database = database(version).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let comparison = compare_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();
    // The version, and each of the ten tables.
    assert_eq!((comparison.version, comparison.findings.len()), (None, 11));

    let history = Migration::history(Dialect::Postgres, &Tables::default(), 1);
    run(&database.pool, history[0].up()).await.unwrap();
    let comparison = compare_schema::<Postgres>(&mut connection, &Tables::default())
        .await
        .unwrap();
    assert_eq!(
        comparison.findings[0].to_string(),
        "outbox_schema: the version is 1, it should be 7"
    );
    assert!(
        comparison
            .errors()
            .any(|finding| finding.to_string() == "outbox_inbox: the table is missing")
    );
    assert!(
        comparison
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Warning)
    );
}
