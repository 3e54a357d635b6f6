//! `outbox generate migration`

use std::fs;
use std::path::PathBuf;

use crate::Place;

const UP: &str = "migrations/20250101000000_create_outbox_tables.up.sql";
const DOWN: &str = "migrations/20250101000000_create_outbox_tables.down.sql";

/// What is generated is looked at in review. After a change: the same commands without `--check`, with `--force`.
/// The directories that began with version 1 hold what the toolkit of that time wrote.
#[test]
fn the_generated_files_are_the_ones_that_were_reviewed() {
    let place = Place::new();
    for (arguments, directory, files) in [
        ("--database postgres", "postgres", 2),
        (
            "--database postgres --schema billing --prefix events_",
            "postgres-named",
            2,
        ),
        ("--database postgres", "postgres-from-1", 14),
        ("--database postgres --partitioned", "postgres-partitioned", 2),
        ("--database postgres --format sql", "postgres-sql", 2),
        ("--database postgres --format alembic", "postgres-alembic", 1),
        ("--database sqlite", "sqlite", 2),
        ("--database sqlite", "sqlite-from-1", 14),
        ("--database sqlite --format alembic", "sqlite-alembic", 1),
    ] {
        let golden = golden(directory);
        let mut command = place.command(&format!("generate migration {arguments} --check --dir"));
        let ran = crate::Ran::from(command.arg(&golden).output().unwrap());
        assert!(ran.done().ends_with("up to date\n"));
        assert_eq!(fs::read_dir(golden).unwrap().count(), files);
    }
}

pub(crate) fn golden(directory: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/cli/golden", directory]
        .iter()
        .collect()
}

#[test]
fn the_second_time_there_is_nothing_to_do() {
    let place = Place::new();
    let first = place.run("generate migration --database postgres").done();
    assert_eq!(first, format!("wrote {UP}\nwrote {DOWN}\n"));
    let second = place
        .run("generate migration --database postgres --dir migrations")
        .done();
    assert_eq!(second, "nothing to do: the 2 files are up to date\n");
}

/// The file says what it is, whatever its name: a renamed one is recognized.
#[test]
fn the_second_line_has_keys_and_values() {
    for (options, up, values) in [
        (
            "--database postgres --schema billing --partitioned=5000",
            "20250101",
            "database=postgres schema=billing prefix=outbox_ partition_rows=5000 format=sqlx step=create",
        ),
        (
            "--database sqlite --format sql",
            "V20250101",
            "database=sqlite prefix=outbox_ format=sql step=create",
        ),
        (
            "--database postgres --format alembic",
            "20250101",
            "database=postgres prefix=outbox_ format=alembic step=create",
        ),
    ] {
        let place = Place::new();
        let generate = format!("generate migration {options}");
        place.run(&generate).done();
        let migrations = place.path().join("migrations");
        let mut files = fs::read_dir(&migrations)
            .unwrap()
            .map(|file| file.unwrap().path());
        let is_up = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(up) && !name.ends_with(".down.sql")
        };
        let file = files.find(is_up).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let second = text.lines().nth(1).unwrap();
        let values = format!("outbox-migration 1: {values}");
        assert!(
            second.contains(&values) && second.ends_with("direction=up"),
            "{second}"
        );

        let extension = file.extension().unwrap().to_str().unwrap();
        let renamed = migrations.join(format!("20300101000000_renamed.{extension}"));
        fs::rename(&file, renamed).unwrap();
        let checked = place.run(&format!("{generate} --check")).done();
        assert!(checked.ends_with("up to date\n"), "{checked}");
    }
}

#[test]
fn a_check_finds_missing_and_changed_files_and_writes_nothing() {
    let place = Place::new();
    let check = "generate migration --database sqlite --check";
    place.run(check).fails(
        3,
        &[
            &format!("{UP} is missing"),
            &format!("{DOWN} is missing"),
            "without --check",
        ],
    );
    assert!(!place.path().join("migrations").exists());

    place.run("generate migration --database sqlite").done();
    assert_eq!(place.run(check).done(), "the 2 files are up to date\n");

    let up = place.path().join(UP);
    let edited = fs::read_to_string(&up)
        .unwrap()
        .replace("holder       TEXT", "holder       BLOB");
    fs::write(&up, &edited).unwrap();
    place
        .run(check)
        .fails(3, &[UP, "holder       BLOB", "holder       TEXT"]);
    assert_eq!(fs::read_to_string(&up).unwrap(), edited);
}

#[test]
fn an_edited_file_is_kept_unless_forced() {
    let place = Place::new();
    let generate = "generate migration --database sqlite";
    place.run(generate).done();
    let down = place.path().join(DOWN);
    let original = fs::read_to_string(&down).unwrap();
    let edited = original.replace("-- UPDATE", "UPDATE");
    fs::write(&down, &edited).unwrap();

    place.run(generate).fails(1, &[DOWN, "--force"]);
    assert_eq!(fs::read_to_string(&down).unwrap(), edited);

    assert_eq!(
        place.run(&format!("{generate} --force")).done(),
        format!("wrote {DOWN}\n")
    );
    assert_eq!(fs::read_to_string(&down).unwrap(), original);
}

#[test]
fn what_cannot_be_written_is_reported_with_its_cause() {
    let place = Place::new();
    fs::write(place.path().join("migrations"), "a file").unwrap();
    place
        .run("generate migration --database sqlite")
        .fails(1, &["migrations", "because:"]);
}

#[test]
fn migrations_of_two_logs_lie_side_by_side() {
    let place = Place::new();
    place.run("generate migration --database postgres").done();
    place
        .run("generate migration --database postgres --prefix billing_")
        .done();
    place
        .run("generate migration --database postgres --schema billing")
        .done();
    let mut versions: Vec<_> = fs::read_dir(place.path().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.split('_').next().unwrap().to_owned())
        .collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 3);
}

#[test]
fn the_generated_configuration_of_debezium_is_the_one_that_was_reviewed() {
    let place = Place::new();
    for (arguments, directory, files) in [
        ("", "debezium", 4),
        (
            "--schema billing --prefix events_ --name billing --payloads json",
            "debezium-named",
            3,
        ),
    ] {
        let golden = format!("{}/tests/cli/golden/{directory}", env!("CARGO_MANIFEST_DIR"));
        let mut command = place.command(&format!("generate debezium {arguments} --check --dir"));
        let ran = crate::Ran::from(command.arg(&golden).output().unwrap());
        assert_eq!(ran.done(), format!("the {files} files are up to date\n"));
        assert_eq!(fs::read_dir(golden).unwrap().count(), files);
    }
    place
        .run("generate debezium --name Out-Box")
        .fails(2, &["Out-Box", "underscores"]);
}

#[test]
fn a_file_that_was_edited_is_reported_and_kept() {
    let place = Place::new();
    for (generate, file) in [
        ("generate debezium --dir out", "out/json.properties"),
        ("generate config-schema --dir out", "out/outbox.schema.json"),
    ] {
        place.run(generate).done();
        assert!(place.run(generate).done().starts_with("nothing to do"));
        let path = place.path().join(file);
        let edited = fs::read_to_string(&path).unwrap() + "by hand\n";
        fs::write(&path, &edited).unwrap();
        place
            .run(&format!("{generate} --check"))
            .fails(3, &[file, "by hand"]);
        place.run(generate).fails(1, &[file, "--force"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        place.run(&format!("{generate} --force")).done();
        place.run(&format!("{generate} --check")).done();
    }
}
