//! `outbox init` as far as it needs no server.

use std::fs;
use std::path::Path;

use crate::Place;

fn write(place: &Place, file: &str, text: &str) {
    let path = place.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(place: &Place, file: &str) -> String {
    fs::read_to_string(place.path().join(file)).unwrap()
}

/// A service with this manifest and a program.
fn service(manifest: &str) -> Place {
    let place = Place::new();
    write(&place, "Cargo.toml", &format!("{manifest}\n[workspace]\n"));
    write(&place, "src/main.rs", "fn main() {}\n");
    place
}

/// A workspace that is no package itself, of a service, a library and others.
fn workspace(members: &[(&str, &str)]) -> Place {
    let place = Place::new();
    write(
        &place,
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
    );
    for (name, root) in members {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        write(&place, &format!("crates/{name}/Cargo.toml"), &manifest);
        write(&place, &format!("crates/{name}/src/{root}.rs"), "fn main() {}\n");
    }
    place
}

/// Each path that is printed as written or kept, or before what is to be pasted, is there.
#[track_caller]
fn assert_paths_exist(place: &Place, directory: &str, printed: &str) {
    let named = printed.lines().filter_map(|line| {
        let file = line
            .strip_prefix("wrote ")
            .or_else(|| line.strip_prefix("kept ")?.strip_suffix(", which exists"));
        let pasted = line
            .strip_prefix("Add to ")
            .and_then(|file| file.strip_suffix(':'))
            .or_else(|| line.strip_suffix(".rs:").map(|_| &line[..line.len() - 1]));
        file.or(pasted)
    });
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 4, "{printed}");
    for path in named {
        assert!(
            place.path().join(directory).join(path).is_file(),
            "{path} is not there: {printed}"
        );
    }
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let place = service(
        "[package]\nname = \"my-shop\"\n\n[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\nsqlx = \"0.8\"\n",
    );
    let files = ["outbox.toml", "src/lib.rs", "src/outbox_events.rs"];
    for file in files {
        write(&place, file, "// mine\n");
    }
    let printed = place.run("init").done();
    for file in files {
        assert_eq!(read(&place, file), "// mine\n");
    }
    assert!(printed.contains("kept outbox.toml, which exists"), "{printed}");
    assert!(
        printed.contains("migrations/20250101000000_create_outbox_tables.up.sql"),
        "{printed}"
    );
    assert_paths_exist(&place, "", &printed);
    // What is there already is not asked for again, what lacks a feature keeps its version, and a library that is there
    // gets a line of its own.
    assert!(
        printed.starts_with("kept")
            && printed.contains("\nRun:\n\ncargo add outbox-runtime@")
            && printed.contains("\ncargo add sqlx --features runtime-tokio,postgres\n")
            && !printed.contains("serde"),
        "{printed}"
    );
    assert!(
        printed.contains("Add to src/lib.rs:\n\npub mod outbox_events;\n"),
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
        assert_eq!(all, "the 2 files are up to date\nthe file is up to date\n");
        // The schema that the first line names is there, and takes the file.
        let text = read(&place, "outbox.toml");
        let named = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        let schema = serde_json::from_str(&read(&place, named)).unwrap();
        let value: serde_json::Value = toml::from_str(&text).unwrap();
        assert!(
            jsonschema::validator_for(&schema).unwrap().is_valid(&value),
            "{text}"
        );
        // Of an earlier version, it is brought up to date with the rest.
        let path = place.path().join("outbox.schema.json");
        let old = fs::read_to_string(&path)
            .unwrap()
            .replace("outbox.toml", "outbox.tml");
        fs::write(&path, old).unwrap();
        place
            .run("generate --all --check")
            .code
            .filter(|code| *code == 3)
            .unwrap();
    }
}

#[test]
fn where_there_is_no_package_it_says_what_to_do() {
    let nowhere = Place::new();
    nowhere.run("init").fails(2, &["Cargo.toml", "--manifest-path"]);
    let two = workspace(&[("orders", "main"), ("payments", "main"), ("domain", "lib")]);
    two.run("init").fails(
        2,
        &["several packages", "--package NAME", "domain, orders, payments"],
    );
    two.run("init -p nobody")
        .fails(2, &["no package `nobody`", "domain, orders, payments"]);
    service("[package]\nname = \"shop\"\n")
        .run("init --toolkit src")
        .fails(2, &["`src`", "outbox-runtime"]);
    assert!(!nowhere.path().join("outbox.toml").exists() && !two.path().join("outbox.toml").exists());
}

/// From the root, from the package, and from a directory in it.
#[test]
fn in_a_workspace_the_paths_and_commands_are_of_where_it_was_run() {
    for (directory, arguments, toml, of_package) in [
        ("", "", "crates/orders/outbox.toml", true),
        ("", "-p orders", "crates/orders/outbox.toml", true),
        ("crates/orders", "", "outbox.toml", false),
        ("crates/orders/src", "", "../outbox.toml", false),
        ("crates/domain", "-p orders", "../orders/outbox.toml", true),
        (
            "crates",
            "--manifest-path orders/Cargo.toml",
            "orders/outbox.toml",
            true,
        ),
    ] {
        let place = workspace(&[("orders", "main"), ("domain", "lib")]);
        let mut command = place.command(&format!("init {arguments}"));
        let ran = command
            .current_dir(place.path().join(directory))
            .output()
            .unwrap();
        let printed = crate::Ran::from(ran).done();
        assert!(printed.contains(&format!("wrote {toml}\n")), "{printed}");
        assert_paths_exist(&place, directory, &printed);
        assert!(
            place.path().join("crates/orders/migrations").is_dir(),
            "{printed}"
        );
        for line in [
            "cargo add --package orders serde@1",
            "outbox topics apply -p orders\n",
            "cargo run -p orders\n",
        ] {
            let expected = if of_package {
                line.to_owned()
            } else {
                line.replace(" --package orders", "").replace(" -p orders", "")
            };
            assert!(printed.contains(&expected), "{expected}: {printed}");
        }
        // And from there it works: the file of the only member that has one.
        let all = place.run("generate --all --check").done();
        assert_eq!(all, "the 2 files are up to date\nthe file is up to date\n");
    }
}

/// Flyway's directory, numbers and times: the migration is the next one of those that are there.
#[test]
fn migrations_are_the_next_of_those_that_are_there() {
    for (there, expected, toml) in [
        (
            "db/migration/V7__orders.sql",
            "db/migration/V8__create_outbox_tables.sql",
            "dir = \"../../db/migration\"\nformat = \"sql\"",
        ),
        (
            "crates/orders/src/main/resources/db/migration/V1.9__a.sql",
            "crates/orders/src/main/resources/db/migration/V1.10__create_outbox_tables.sql",
            "format = \"sql\"",
        ),
        (
            "crates/orders/migrations/V20991231235959__a.sql",
            "crates/orders/migrations/V21000101000000__create_outbox_tables.sql",
            "format = \"sql\"",
        ),
        (
            "migrations/0041_a.sql",
            "migrations/0042_create_outbox_tables.up.sql",
            "dir = \"../../migrations\"\nformat = \"sqlx\"",
        ),
        (
            "crates/orders/migrations/20991231235959_a.up.sql",
            "crates/orders/migrations/21000101000000_create_outbox_tables.up.sql",
            "format = \"sqlx\"",
        ),
    ] {
        let place = workspace(&[("orders", "main")]);
        write(&place, there, "SELECT 1;\n");
        let printed = place.run("init").done();
        assert!(printed.contains(&format!("wrote {expected}\n")), "{printed}");
        assert_paths_exist(&place, "", &printed);
        let text = read(&place, "crates/orders/outbox.toml");
        assert!(text.contains(toml), "{text}");
        // A second time, and by the other command, nothing is left to do; what came meanwhile changes nothing.
        let later = Path::new(there).parent().unwrap().join("V99__later.sql");
        write(&place, later.to_str().unwrap(), "SELECT 1;\n");
        assert!(
            place
                .run("init")
                .done()
                .contains("nothing to do: the 2 files are up to date")
        );
        place.run("generate --all --check").done();
    }
    // Where Flyway's directory is configured.
    let place = service("[package]\nname = \"shop\"\n");
    write(
        &place,
        "flyway.toml",
        "[flyway]\nlocations = [\"filesystem:./database\"]\n",
    );
    write(&place, "database/README", "");
    let printed = place.run("init").done();
    assert!(
        printed.contains("wrote database/V20250101000000__create_outbox_tables.sql"),
        "{printed}"
    );
}
