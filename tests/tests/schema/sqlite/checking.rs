//! A database's tables compared with what they should be.

use outbox_runtime::schema::compare_schema;

use super::*;

async fn findings(pool: &SqlitePool, tables: &Tables) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let comparison = compare_schema::<Sqlite>(&mut connection, tables).await.unwrap();
    let findings = comparison.findings.iter();
    findings
        .map(|finding| format!("{}: {finding}", finding.severity))
        .collect()
}

#[tokio::test]
async fn tables_are_what_they_should_be_however_they_were_made() {
    let nothing = Vec::<String>::new();
    let database = database().await;
    for migration in Migration::history(Dialect::Sqlite, &Tables::default(), 1) {
        run(&database.pool, migration.up()).await.unwrap();
    }
    assert_eq!(findings(&database.pool, &Tables::default()).await, nothing);
    for named in [Tables::new(None, "billing_"), Tables::new(Some("main"), "third_")] {
        let named = named.unwrap();
        migrate(&database.pool, &named).await.unwrap();
        assert_eq!(findings(&database.pool, &named).await, nothing);
    }
    run(
        &database.pool,
        "ALTER TABLE outbox_messages ADD COLUMN tenant TEXT; CREATE INDEX mine ON outbox_messages (topic)",
    )
    .await
    .unwrap();
    assert_eq!(findings(&database.pool, &Tables::default()).await, nothing);
}

#[tokio::test]
async fn each_thing_that_differs_is_found() {
    let made = Migration::create(Dialect::Sqlite, &Tables::default())
        .up()
        .to_owned();
    for (from, to, expected) in [
        (
            "topic           TEXT NOT NULL",
            "topic           BLOB NOT NULL",
            "error: outbox_messages: column topic is BLOB not null, it should be TEXT not null",
        ),
        (
            "event_type      TEXT NOT NULL",
            "event_type      TEXT",
            "error: outbox_messages: column event_type is TEXT, it should be TEXT not null",
        ),
        (
            "    source          TEXT,\n",
            "",
            "error: outbox_messages: column source is missing, it should be TEXT",
        ),
        (
            "seq             INTEGER PRIMARY KEY AUTOINCREMENT",
            "seq             INTEGER PRIMARY KEY",
            "error: outbox_messages: column seq is INTEGER not null, it should be INTEGER not null autoincrement",
        ),
        (
            "UNIQUE (id, seq)",
            "UNIQUE (seq)",
            "error: outbox_dead_letters: primary key or unique index (id, seq) is missing",
        ),
        (
            "; CREATE INDEX IF NOT EXISTS \"outbox_inbox_processed_at_idx\" ON \"outbox_inbox\" (processed_at)",
            "",
            "warning: outbox_inbox: index (processed_at) is missing",
        ),
        (
            "CONSTRAINT \"outbox_messages_payload_json\"",
            "CONSTRAINT \"mine\"",
            "warning: outbox_messages: constraint outbox_messages_payload_json is missing",
        ),
        (
            "\"outbox_keep_undelivered\" BEFORE DELETE ON",
            "\"mine\" BEFORE DELETE ON",
            "warning: outbox_messages: trigger outbox_keep_undelivered is missing, it should be made again by the file that \
             `outbox generate migration` writes into an empty directory",
        ),
    ] {
        let database = database().await;
        let changed = made.replacen(from, to, 1);
        assert_ne!(changed, made, "{from}");
        run(&database.pool, changed).await.unwrap();
        assert_eq!(findings(&database.pool, &Tables::default()).await, [expected]);
    }
}

#[tokio::test]
async fn a_relay_does_not_start_on_a_wrong_column() {
    let database = migrated().await;
    run(
        &database.pool,
        "ALTER TABLE outbox_messages RENAME COLUMN topic TO subject",
    )
    .await
    .unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let error = check_schema::<Sqlite>(&mut connection, &Tables::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("column topic is missing"), "{error}");
}
