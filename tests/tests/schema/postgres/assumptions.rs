//! What the guarantees rest on beside the tables' columns: each thing is found, and mended by what the finding says.

use outbox_runtime::PostgresStore;
use outbox_runtime::schema::{Finding, Severity, compare_schema};
use outbox_runtime::store::Store;

use super::*;

on_all_versions! {
    each_broken_assumption_is_found_and_mended_by_what_is_named,
    what_cannot_be_mended_by_a_statement_is_found,
    rows_hidden_from_a_role_are_found_by_it,
    a_renamed_table_leaves_its_sequence_behind,
    a_partition_that_was_dropped_ahead_is_reported_and_made_again,
    a_default_partition_is_reported,
}

async fn findings(pool: &PgPool) -> Vec<Finding> {
    let mut connection = pool.acquire().await.unwrap();
    let comparison = compare_schema::<Postgres>(&mut connection, &Tables::default()).await;
    comparison.unwrap().findings
}

/// What breaks something, how bad that is, and a part of what is said.
const MENDED: &[(&str, Severity, &str)] = &[
    (
        "ALTER SEQUENCE outbox_messages_seq_seq CACHE 100",
        Severity::Error,
        "the cache of the sequence behind seq is 100",
    ),
    (
        "ALTER SEQUENCE outbox_dead_letters_position_seq CACHE 2",
        Severity::Error,
        "the cache of the sequence behind position is 2",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq INCREMENT 10",
        Severity::Error,
        "the increment of the sequence behind seq is 10",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq INCREMENT -1",
        Severity::Error,
        "the increment of the sequence behind seq is -1",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq CYCLE",
        Severity::Error,
        "the sequence behind seq is one that cycles",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq MINVALUE -50",
        Severity::Error,
        "the lowest number of the sequence behind seq is -50",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq MAXVALUE 1000",
        Severity::Warning,
        "numbers left to the sequence behind seq is 9",
    ),
    (
        "ALTER SEQUENCE outbox_messages_seq_seq MAXVALUE 60; SELECT setval('outbox_messages_seq_seq', 60)",
        Severity::Error,
        "numbers left to the sequence behind seq is none",
    ),
    (
        "SELECT setval('outbox_messages_seq_seq', 1)",
        Severity::Warning,
        "the sequence behind seq is at 1, below the message",
    ),
    (
        "UPDATE outbox_messages SET topic = 'x'; \
         INSERT INTO outbox_messages (seq, aggregate_type, aggregate_id, event_type, topic) \
         OVERRIDING SYSTEM VALUE VALUES (-5, 'a', 'a', 'a', 'a')",
        Severity::Error,
        "the lowest seq of a message is -5",
    ),
    (
        "ALTER TABLE outbox_dead_letters SET UNLOGGED",
        Severity::Error,
        "outbox_dead_letters: the table is unlogged",
    ),
    (
        "CREATE RULE away AS ON INSERT TO outbox_messages DO INSTEAD NOTHING",
        Severity::Error,
        "rule away is there",
    ),
    (
        "CREATE RULE kept AS ON DELETE TO outbox_dead_letters DO INSTEAD NOTHING",
        Severity::Error,
        "rule kept is there",
    ),
    (
        "CREATE TRIGGER drops BEFORE INSERT ON outbox_messages FOR EACH ROW EXECUTE FUNCTION nothing()",
        Severity::Warning,
        "trigger drops is called before each row is inserted",
    ),
    (
        "CREATE TRIGGER drops BEFORE INSERT ON outbox_dead_letters FOR EACH ROW EXECUTE FUNCTION nothing()",
        Severity::Error,
        "trigger drops is called before each row is written",
    ),
    (
        "CREATE TRIGGER drops BEFORE UPDATE ON outbox_cursor FOR EACH ROW EXECUTE FUNCTION nothing()",
        Severity::Error,
        "trigger drops is called before each row is written",
    ),
    (
        "CREATE TABLE child () INHERITS (outbox_messages)",
        Severity::Error,
        "table child is its child",
    ),
    (
        "ALTER TABLE outbox_messages ENABLE ROW LEVEL SECURITY",
        Severity::Warning,
        "row-level security is on, though not in force",
    ),
    (
        "CREATE UNIQUE INDEX one_of_a_key ON outbox_dead_letters (topic, aggregate_id)",
        Severity::Error,
        "unique index one_of_a_key is there",
    ),
    (
        "ALTER TABLE outbox_inbox ADD UNIQUE (message_id)",
        Severity::Error,
        "unique index outbox_inbox_message_id_key is there",
    ),
];

async fn each_broken_assumption_is_found_and_mended_by_what_is_named(version: PostgresVersion) {
    let database = migrated(version).await;
    let function = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";
    run(&database.pool, function).await.unwrap();
    for _ in 0..3 {
        run(&database.pool, INSERT).await.unwrap();
    }
    assert_eq!(findings(&database.pool).await, []);
    for (breaks, severity, said) in MENDED {
        run(&database.pool, *breaks).await.unwrap();
        let found = findings(&database.pool).await;
        let finding = found
            .iter()
            .find(|finding| finding.to_string().contains(said))
            .unwrap_or_else(|| panic!("{breaks}: {found:?}"));
        assert_eq!(finding.severity, *severity, "{breaks}");
        for finding in &found {
            let mend = finding.mend.clone().unwrap_or_else(|| panic!("{finding:?}"));
            run(&database.pool, mend).await.unwrap();
        }
        assert_eq!(findings(&database.pool).await, [], "{breaks}");
    }
}

async fn what_cannot_be_mended_by_a_statement_is_found(version: PostgresVersion) {
    for (breaks, said) in [
        (
            "ALTER TABLE outbox_messages ADD COLUMN tenant text NOT NULL",
            "column tenant is text not null, it should be nullable or with a default",
        ),
        (
            "ALTER TABLE outbox_messages ALTER COLUMN seq SET GENERATED BY DEFAULT",
            "column seq is bigint not null generated by default as identity, it should be bigint not null generated always",
        ),
        (
            "ALTER TABLE outbox_lease RENAME TO lease; CREATE VIEW outbox_lease AS SELECT * FROM lease",
            "outbox_lease: the table is a view",
        ),
        (
            "CREATE SCHEMA other; ALTER TABLE outbox_cursor SET SCHEMA other; \
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, other', current_database()); END $$",
            "outbox_cursor: the table is in the schema other",
        ),
        (
            "CREATE SCHEMA other; CREATE TABLE other.outbox_messages (LIKE outbox_messages INCLUDING ALL); \
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, other', current_database()); END $$",
            "one of several on the search_path",
        ),
    ] {
        let database = migrated(version).await;
        run(&database.pool, breaks).await.unwrap();
        // Settings of a database hold for new connections.
        let pool = PgPool::connect(&database.url()).await.unwrap();
        let found = findings(&pool).await;
        assert!(
            found.iter().any(|finding| finding.to_string().contains(said)),
            "{breaks}: {found:?}"
        );
        pool.close().await;
    }
}

async fn rows_hidden_from_a_role_are_found_by_it(version: PostgresVersion) {
    let database = migrated(version).await;
    let role = format!("hidden_{}", uuid::Uuid::now_v7().simple());
    run(
        &database.pool,
        format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}; \
             ALTER TABLE outbox_messages ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY others ON outbox_messages USING (topic <> 'orders')"
        ),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let options = options.username(&role);
    let pool = PgPoolOptions::new().connect_with(options.clone()).await.unwrap();
    let found = findings(&pool).await;
    assert!(
        found.len() == 1 && found[0].severity == Severity::Error,
        "{found:?}"
    );
    let error = PostgresStore::with_options(options.clone())
        .open_lease()
        .await
        .err()
        .unwrap();
    assert!(
        error.is_fatal() && error.to_string().contains("BYPASSRLS"),
        "{error}"
    );
    run(&database.pool, found[0].mend.clone().unwrap()).await.unwrap();
    assert!(
        findings(&pool)
            .await
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
    PostgresStore::with_options(options)
        .open_lease()
        .await
        .map(drop)
        .unwrap();
    pool.close().await;
    drop_role(&database.pool, &role).await;
}

/// The relay and the partitions ask the catalog for it.
async fn a_renamed_table_leaves_its_sequence_behind(version: PostgresVersion) {
    let database = migrated(version).await;
    run(
        &database.pool,
        "ALTER TABLE outbox_messages RENAME TO outbox_messages_old; \
         CREATE TABLE outbox_messages (LIKE outbox_messages_old INCLUDING ALL)",
    )
    .await
    .unwrap();
    // Copies have no triggers.
    let found = findings(&database.pool).await;
    assert!(
        found
            .iter()
            .all(|finding| finding.object.contains("keep_undelivered")),
        "{found:?}"
    );
    run(&database.pool, INSERT).await.unwrap();
    let status = PostgresStore::new(&database.pool).status().await.unwrap();
    assert_eq!(status.backlog.messages, 1);
}

async fn a_partition_that_was_dropped_ahead_is_reported_and_made_again(version: PostgresVersion) {
    let database = TestDatabase::partitioned_at(version, 100).await;
    // The sequence's name is no way to find it.
    run(
        &database.pool,
        "ALTER SEQUENCE outbox_messages_seq_seq RENAME TO numbers; DROP TABLE outbox_messages_p300",
    )
    .await
    .unwrap();
    let found = findings(&database.pool).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].object.contains("from 300 to 399") && found[0].severity == Severity::Warning,
        "{found:?}"
    );
    let store = PostgresStore::new(&database.pool);
    assert_eq!(store.make_room().await.unwrap(), 1);
    assert_eq!(findings(&database.pool).await, []);
    assert_eq!(store.make_room().await.unwrap(), 0);

    // The very next one, under a name that is taken.
    run(
        &database.pool,
        "ALTER TABLE outbox_messages DETACH PARTITION outbox_messages_p0",
    )
    .await
    .unwrap();
    let found = findings(&database.pool).await;
    assert!(
        found.len() == 1 && found[0].severity == Severity::Error,
        "{found:?}"
    );
    run(&database.pool, INSERT).await.unwrap_err();
    assert_eq!(store.make_room().await.unwrap(), 1);
    run(&database.pool, INSERT).await.unwrap();
    assert_eq!(findings(&database.pool).await, []);
}

async fn a_default_partition_is_reported(version: PostgresVersion) {
    let database = TestDatabase::partitioned_at(version, 100).await;
    run(
        &database.pool,
        "CREATE TABLE others PARTITION OF outbox_messages DEFAULT; ALTER TABLE outbox_messages_p100 SET UNLOGGED",
    )
    .await
    .unwrap();
    let found = findings(&database.pool).await;
    let said: Vec<_> = found.iter().map(|finding| finding.object.as_str()).collect();
    assert_eq!(
        said,
        [
            "trigger keep_undelivered_from_delete",
            "trigger keep_undelivered_from_truncate",
            "partition outbox_messages_p100",
            "partition others"
        ]
    );
    let guarded = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'others'::regclass";
    for (number, finding) in found.iter().enumerate() {
        let mend = finding.mend.as_ref().expect("it says what mends it");
        run(&database.pool, mend).await.unwrap();
        if number == 1 {
            let triggers: i64 = sqlx::query_scalar(guarded)
                .fetch_one(&database.pool)
                .await
                .unwrap();
            assert_eq!(triggers, 2, "the default partition is like others");
        }
    }
    assert_eq!(findings(&database.pool).await, []);
}
