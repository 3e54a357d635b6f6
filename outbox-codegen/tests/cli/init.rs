//! `outbox init` as far as it needs no server.

use std::fs;

use crate::Place;

fn service(manifest: &str) -> Place {
    let place = Place::new();
    fs::write(place.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(place.path().join("src")).unwrap();
    place
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let place = service("[package]\nname = \"my-shop\"\n\n[dependencies]\nserde = \"1\"\n");
    let files = ["outbox.toml", "src/lib.rs", "src/outbox_events.rs"];
    for file in files {
        fs::write(place.path().join(file), "mine\n").unwrap();
    }
    let printed = place.run("init").done();
    for file in files {
        assert_eq!(fs::read_to_string(place.path().join(file)).unwrap(), "mine\n");
    }
    assert!(printed.contains("kept outbox.toml, which was there"), "{printed}");
    assert!(
        printed.contains("migrations/20250101000000_create_outbox_tables.up.sql"),
        "{printed}"
    );
    // What is there already is not asked for again, and a library that is there gets a line of its own.
    assert!(
        printed.contains("outbox-runtime = { version") && !printed.contains("\nserde ="),
        "{printed}"
    );
    assert!(
        printed.contains("src/lib.rs:\n\npub mod outbox_events;\n"),
        "{printed}"
    );
    assert!(
        printed.contains("use my_shop::outbox_events::ServiceStartedV1;"),
        "{printed}"
    );
}

#[test]
fn what_is_written_is_configuration_that_the_program_takes() {
    for database in ["postgres", "sqlite"] {
        let place = service("[package]\nname = \"shop\"\n");
        place.run(&format!("init --database {database}")).done();
        let all = place.run("generate --all --check").done();
        assert_eq!(all, "the 2 files are up to date\n");
    }
}

#[test]
fn where_there_is_no_package_it_says_what_to_do() {
    let nowhere = Place::new();
    nowhere.run("init").fails(2, &["Cargo.toml", "--manifest-path"]);
    let workspace = service("[workspace]\nmembers = [\"a\"]\n");
    workspace
        .run("init")
        .fails(2, &["no [package]", "member of the workspace"]);
    service("[package]\nname = \"shop\"\n")
        .run("init --toolkit src")
        .fails(2, &["`src`", "outbox-runtime"]);
    assert!(!nowhere.path().join("outbox.toml").exists());
}
