//! `outbox migrate` and `outbox status` on SQLite.

use std::process::Command;

use sqlx::{Connection, SqliteConnection};

use crate::{Place, status};

/// Runs SQL in a database of the place, as any other program would.
pub(crate) fn execute(place: &Place, file: &str, sql: &'static str) {
    let url = format!("sqlite:{}", place.path().join(file).display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

pub(crate) const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
                                 VALUES ('order', 'o-1', 'OrderPlacedV1', 'orders', '{\"amount\": 12}')";

#[test]
fn migrate_makes_the_file_and_is_harmless_when_repeated() {
    let place = Place::new();
    let migrate = "migrate --database-url sqlite:app.db";
    assert_eq!(
        place.run(migrate).done(),
        "the outbox tables now have version 7\n"
    );
    assert_eq!(
        place.run(migrate).done(),
        "nothing to do: the outbox tables have version 7\n"
    );
    place
        .run("migrate --database-url sqlite:app.db --prefix billing_")
        .done();
    place
        .run("migrate -D sqlite:missing/app.db")
        .fails(1, &["missing/app.db", "because:", "directory exists"]);
}

#[test]
fn migrate_finds_nothing_to_do_where_the_shell_applied_the_file() {
    let place = Place::new();
    place.run("generate migration --database sqlite").done();
    let up = ".read migrations/20250101000000_create_outbox_tables.up.sql";
    let shell = Command::new("sqlite3")
        .args(["app.db", up])
        .current_dir(place.path())
        .output();
    assert!(
        shell
            .expect("the sqlite3 shell is installed (Debian: sqlite3)")
            .status
            .success()
    );
    let migrated = place.run("migrate -D sqlite:app.db").done();
    assert_eq!(migrated, "nothing to do: the outbox tables have version 7\n");
}

#[test]
fn status_needs_a_database_with_the_tables() {
    let place = Place::new();
    place
        .run("status -D sqlite:app.db")
        .fails(1, &["no database at sqlite:app.db", "outbox migrate"]);
    assert!(!place.path().join("app.db").exists());

    place.run("migrate -D sqlite:app.db").done();
    place
        .run("status -D sqlite:app.db --prefix billing_")
        .fails(1, &["outbox migrate --prefix billing_"]);

    execute(
        &place,
        "app.db",
        "UPDATE outbox_schema SET version = 8, oldest_program = 8",
    );
    place
        .run("status -D sqlite:app.db")
        .fails(1, &["version 8", "newer version"]);
    place
        .run("migrate -D sqlite:app.db")
        .fails(1, &["version 8", "newer version"]);

    std::fs::write(
        place.path().join("text.db"),
        "no database, but long enough to be read as one".repeat(20),
    )
    .unwrap();
    place
        .run("status -D sqlite:text.db")
        .fails(1, &["text.db", "because:"]);
}

#[test]
fn status_counts_what_no_relay_has_delivered() {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    let empty = place.run("status -D sqlite:app.db --json").done();
    assert_eq!(
        empty,
        "{\"schema_version\":1,\"delivery\":\"at_least_once\",\"backlog\":{\"messages\":0,\"exact\":true,\
         \"oldest_age_seconds\":0.0},\"lease\":null,\"dead_letters\":{\"dead\":0,\"parked\":0},\"paused\":[],\"modes\":[],\"throttles\":[],\"skips\":[]}\n"
    );
    execute(&place, "app.db", INSERT);
    let one = status(&place, "sqlite:app.db");
    assert_eq!(one["backlog"]["messages"], 1);
    assert!(
        one["backlog"]["oldest_age_seconds"]
            .as_f64()
            .is_some_and(|age| (0.0..60.0).contains(&age))
    );
    let text = place.run("status -D sqlite:app.db").done();
    assert!(
        text.contains("1 messages, the oldest") && text.contains("none: no relay is active"),
        "{text}"
    );
}

#[test]
fn a_status_of_a_log_without_its_rows_fails_with_what_to_run() {
    for (table, words) in [
        ("DELETE FROM outbox_cursor", "--without-cursor send"),
        ("DELETE FROM outbox_lease", "puts it back"),
    ] {
        let place = Place::new();
        place.run("migrate -D sqlite:app.db").done();
        execute(&place, "app.db", table);
        place
            .run("status -D sqlite:app.db")
            .fails(1, &["has lost its one row", words]);
    }
}

/// As in a rolling upgrade, or after the way back from one.
#[test]
fn tables_of_a_later_version_that_only_added_something_are_worked_with() {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    execute(
        &place,
        "app.db",
        "ALTER TABLE outbox_messages ADD COLUMN added_later TEXT; \
         INSERT INTO outbox_schema (version, oldest_program) VALUES (8, 7)",
    );
    execute(&place, "app.db", INSERT);
    let text = place.run("status -D sqlite:app.db").done();
    assert!(
        text.starts_with("tables          version 8, with which programs from version 7 on work\n"),
        "{text}"
    );
    assert_eq!(
        place.run("migrate -D sqlite:app.db").done(),
        "nothing to do: the outbox tables have version 8, with which programs from version 7 on work\n"
    );
    assert_eq!(
        place.run("migration check -D sqlite:app.db").done(),
        "the outbox tables have version 8, with which programs from version 7 on work, and match version 7\n"
    );
    assert_eq!(
        place.run("migration check -D sqlite:app.db --json").done(),
        "{\"expected_version\":7,\"found_version\":8,\"findings\":[]}\n"
    );
    assert_eq!(place.run("health -D sqlite:app.db").done(), "healthy\n");
    place.run("pause --log --reason why -D sqlite:app.db").done();
    let tail = place.run("tail -D sqlite:app.db --from beginning --number 1");
    assert_eq!(tail.code, Some(0), "{tail:?}");
    let doctor = place.run("doctor -D sqlite:app.db --json").stdout;
    assert!(
        doctor.contains("\"program_older\"") && !doctor.contains("\"schema_version\",\"severity\""),
        "{doctor}"
    );
}
