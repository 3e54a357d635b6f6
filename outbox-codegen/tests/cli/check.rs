//! `outbox migration check` on SQLite.

use crate::Place;
use crate::sqlite::execute;

const CHECK: &str = "migration check -D sqlite:app.db";

#[test]
fn tables_of_this_version_pass() {
    let place = Place::new();
    place
        .run(CHECK)
        .fails(1, &["no database at sqlite:app.db", "outbox migrate"]);
    place.run("migrate -D sqlite:app.db").done();
    assert_eq!(place.run(CHECK).done(), "the outbox tables match version 7\n");
    assert_eq!(
        place.run(&format!("{CHECK} --json")).done(),
        "{\"expected_version\":7,\"found_version\":7,\"findings\":[]}\n"
    );
}

#[test]
fn errors_exit_3_and_name_each_and_warnings_alone_do_not() {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    execute(&place, "app.db", "DROP INDEX outbox_inbox_processed_at_idx");
    let warning = "warning: outbox_inbox: index (processed_at) is missing\n";
    assert_eq!(place.run(CHECK).done(), warning);
    let strict = place.run(&format!("{CHECK} --strict"));
    assert_eq!((strict.code, strict.stdout.as_str()), (Some(3), warning));
    assert!(
        strict.stderr.contains("0 errors, 1 warning") && strict.stderr.contains("correct the findings"),
        "{strict:?}"
    );

    execute(
        &place,
        "app.db",
        "ALTER TABLE outbox_messages RENAME COLUMN topic TO subject",
    );
    let error = "error: outbox_messages: column topic is missing, it should be TEXT not null\n\
                 error: outbox_messages: column subject is TEXT not null, it should be nullable or with a default: \
                 every insert fails\n";
    let ran = place.run(CHECK);
    assert_eq!((ran.code, ran.stdout), (Some(3), format!("{error}{warning}")));
    assert!(ran.stderr.contains("2 errors, 1 warning"), "{}", ran.stderr);

    let ran = place.run(&format!("{CHECK} --json"));
    assert_eq!(ran.code, Some(3));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        json["findings"][0],
        serde_json::json!({
            "severity": "error", "table": "outbox_messages", "object": "column topic",
            "expected": "TEXT not null", "found": null, "mend": null
        })
    );
    place
        .run("relay -D sqlite:app.db --brokers 127.0.0.1:1 --until-empty")
        .fails(1, &["column topic is missing", "outbox migration check"]);
}

#[test]
fn no_tables_and_no_server_are_different_things() {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    let ran = place.run(&format!("{CHECK} --prefix billing_"));
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stdout
            .contains("error: billing_messages: the table is missing")
            && ran.stderr.contains("outbox migrate"),
        "{ran:?}"
    );
    place
        .run("migration check -D postgres://nobody@127.0.0.1:1/none --connect-timeout 2s")
        .fails(4, &["cannot be reached"]);
}
