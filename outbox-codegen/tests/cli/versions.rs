//! `outbox generate migration` in directories that hold something already.

use std::fs;
use std::path::Path;

use crate::Place;
use crate::generate::golden;

const CREATE: &str = "20250101000000_create_outbox_tables.up.sql";
const UPGRADE: &str = "20261124000000_upgrade_outbox_tables_to_2";
const THIRD: &str = "20261128000000_upgrade_outbox_tables_to_3";
const FOURTH: &str = "20261129000000_upgrade_outbox_tables_to_4";
const FIFTH: &str = "20261130000000_upgrade_outbox_tables_to_5";
const SIXTH: &str = "20261201000000_upgrade_outbox_tables_to_6";
const NEWEST: &str = "20261202000000_upgrade_outbox_tables_to_7";
const GENERATE: &str = "generate migration --database postgres";

/// A directory as the toolkit left it that knew version 1 of the tables.
fn of_version_1() -> Place {
    let place = Place::new();
    let migrations = place.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    for file in fs::read_dir(golden("postgres-from-1")).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_str().unwrap().contains("create") {
            fs::copy(file.path(), migrations.join(file.file_name())).unwrap();
        }
    }
    place
}

fn text(place: &Place, file: &str) -> String {
    fs::read_to_string(place.path().join("migrations").join(file)).unwrap()
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_older_directory_gets_the_step_from_there_and_keeps_its_files() {
    let place = of_version_1();
    let before = text(&place, CREATE);
    place.run(&format!("{GENERATE} --check")).fails(
        3,
        &[
            &format!("{UPGRADE}.up.sql is missing"),
            &format!("{UPGRADE}.down.sql is missing"),
        ],
    );
    assert_eq!(
        place.run(GENERATE).done(),
        [UPGRADE, THIRD, FOURTH, FIFTH, SIXTH, NEWEST]
            .map(|step| format!("wrote migrations/{step}.up.sql\nwrote migrations/{step}.down.sql\n"))
            .concat()
    );
    assert_eq!(text(&place, CREATE), before);
    assert_eq!(
        place.run(GENERATE).done(),
        "nothing to do: the 14 files are up to date\n"
    );
    assert_eq!(
        place.run(&format!("{GENERATE} --check")).done(),
        "the 14 files are up to date\n"
    );
}

#[test]
fn an_old_file_that_was_edited_is_reported_and_never_touched() {
    let place = of_version_1();
    let path = place.path().join("migrations").join(CREATE);
    let edited = text(&place, CREATE).replace("renewals     bigint", "renewals     int");
    fs::write(&path, &edited).unwrap();

    place
        .run(&format!("{GENERATE} --check"))
        .fails(3, &[CREATE, "`    renewals     int"]);
    place
        .run(GENERATE)
        .fails(1, &[CREATE, "renewals     int", "restore them", "--force"]);
    assert_eq!(files(&place.path().join("migrations")).len(), 2);

    let forced = place.run(&format!("{GENERATE} --force"));
    assert_eq!(forced.code, Some(0));
    assert!(
        forced.stderr.contains("left unchanged") && forced.stderr.contains(CREATE),
        "{forced:?}"
    );
    assert!(
        forced
            .stdout
            .starts_with(&format!("wrote migrations/{UPGRADE}.up.sql")),
        "{forced:?}"
    );
    assert_eq!(text(&place, CREATE), edited);
}

#[test]
fn files_are_known_by_their_header_whatever_they_are_called() {
    let place = of_version_1();
    let migrations = place.path().join("migrations");
    fs::rename(migrations.join(CREATE), migrations.join("7_outbox.up.sql")).unwrap();
    fs::write(
        migrations.join("8_version_9_of_the_tables.up.sql"),
        "-- Version 9 of ours.\n",
    )
    .unwrap();
    place.run(GENERATE).done();
    assert_eq!(
        files(&migrations),
        [
            "20250101000000_create_outbox_tables.down.sql",
            &format!("{UPGRADE}.down.sql"),
            &format!("{UPGRADE}.up.sql"),
            &format!("{THIRD}.down.sql"),
            &format!("{THIRD}.up.sql"),
            &format!("{FOURTH}.down.sql"),
            &format!("{FOURTH}.up.sql"),
            &format!("{FIFTH}.down.sql"),
            &format!("{FIFTH}.up.sql"),
            &format!("{SIXTH}.down.sql"),
            &format!("{SIXTH}.up.sql"),
            &format!("{NEWEST}.down.sql"),
            &format!("{NEWEST}.up.sql"),
            "7_outbox.up.sql",
            "8_version_9_of_the_tables.up.sql",
        ]
    );
}

#[test]
fn a_file_that_went_missing_comes_back_as_it_was() {
    let place = of_version_1();
    let before = text(&place, CREATE);
    place.run(GENERATE).done();
    fs::remove_file(place.path().join("migrations").join(CREATE)).unwrap();
    place
        .run(&format!("{GENERATE} --check"))
        .fails(3, &[&format!("{CREATE} is missing")]);
    assert_eq!(place.run(GENERATE).done(), format!("wrote migrations/{CREATE}\n"));
    assert_eq!(text(&place, CREATE), before);
}

#[test]
fn another_log_in_the_same_directory_is_none_of_its_business() {
    let place = of_version_1();
    let billing = format!("{GENERATE} --prefix billing_");
    place.run(&billing).done();
    assert_eq!(
        place.run(&billing).done(),
        "nothing to do: the 2 files are up to date\n"
    );
    place.run(&format!("{GENERATE} --check")).fails(3, &[UPGRADE]);
    place.run(GENERATE).done();
    assert_eq!(
        place.run(&format!("{billing} --check")).done(),
        "the 2 files are up to date\n"
    );
    place
        .run("generate migration --database sqlite --prefix small_")
        .done();
    assert_eq!(files(&place.path().join("migrations")).len(), 18);
}

#[test]
fn a_directory_of_the_future_or_with_two_beginnings_is_refused() {
    let place = Place::new();
    place.run(GENERATE).done();
    let migrations = place.path().join("migrations");
    let future = text(&place, CREATE).replacen("-- Version 7 of", "-- Version 8 of", 1);
    let future = future.replacen("step=create version=7 ", "step=create version=8 ", 1);
    fs::write(migrations.join(CREATE), future).unwrap();
    place
        .run(GENERATE)
        .fails(1, &["has version 8", "supports version 7", "newer version"]);

    let place = of_version_1();
    fs::copy(
        golden("postgres").join(CREATE),
        place.path().join("migrations/2_again.up.sql"),
    )
    .unwrap();
    place
        .run(GENERATE)
        .fails(1, &["2_again.up.sql", "repeats a step", "remove it"]);
    assert_eq!(files(&place.path().join("migrations")).len(), 3);

    // Nothing is missing, and still it is too much.
    let place = Place::new();
    place.run(GENERATE).done();
    let create = place.path().join("migrations").join(CREATE);
    fs::copy(&create, place.path().join("migrations/2_again.up.sql")).unwrap();
    place
        .run(&format!("{GENERATE} --check"))
        .fails(3, &["repeats a step"]);
}

#[test]
fn one_directory_has_one_format_for_a_log() {
    let place = Place::new();
    place.run(&format!("{GENERATE} --format sql")).done();
    place
        .run(&format!("{GENERATE} --format sqlx"))
        .fails(2, &["has the format sql", "--format sql"]);
    // It goes on in the one that is there.
    assert!(place.run(GENERATE).done().starts_with("nothing to do"));
    place
        .run(&format!("{GENERATE} --format sql --down-revision abc"))
        .fails(2, &["--format alembic"]);
}

#[test]
fn a_directory_keeps_its_layout() {
    let place = Place::new();
    place.run(&format!("{GENERATE} --partitioned=5000")).done();
    place
        .run(GENERATE)
        .fails(2, &["generated with other options", "add --partitioned=5000"]);
    place
        .run(&format!("{GENERATE} --partitioned=5000 --check"))
        .done();
    place
        .run("generate migration --database sqlite --partitioned --prefix small_")
        .fails(2, &["SQLite has no partitions"]);
    place
        .run(&format!("{GENERATE} --partitioned=10"))
        .fails(2, &["--partitioned", "1000"]);
}

#[test]
fn a_revision_stands_behind_the_only_head_or_behind_the_one_that_is_named() {
    let alembic = format!("{GENERATE} --format alembic");
    let file = "20250101000000_create_outbox_tables.py";
    let place = Place::new();
    let migrations = place.path().join("migrations");
    fs::create_dir(&migrations).unwrap();
    let revision = |name: &str, down: &str| {
        let python = format!("revision: str = '{name}'\ndown_revision: str | None = {down}\n");
        fs::write(migrations.join(format!("{name}_x.py")), python).unwrap();
    };
    revision("a1", "None");
    revision("b2", "'a1'");
    place.run(&alembic).done();
    assert!(text(&place, file).contains("down_revision = \"b2\"\n"));

    // Where the file is, its place in history is the user's affair.
    fs::write(
        migrations.join(file),
        text(&place, file).replace("\"b2\"", "\"a1\""),
    )
    .unwrap();
    assert_eq!(
        place.run(&format!("{alembic} --check")).done(),
        "the file is up to date\n"
    );

    fs::remove_file(migrations.join(file)).unwrap();
    revision("c3", "'a1'");
    place
        .run(&alembic)
        .fails(2, &["several heads: b2, c3", "--down-revision"]);
    place.run(&format!("{alembic} --down-revision c3")).done();
    assert!(text(&place, file).contains("down_revision = \"c3\"\n"));
    place
        .run(&format!("{alembic} --down-revision c\"3"))
        .fails(2, &["alembic heads"]);
}
