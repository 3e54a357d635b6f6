//! Which package's events, and what `outbox.toml` says of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::Fixture;
use crate::fixture::{PROFILE, event};

/// In a directory of its own, but cargo gives packages of the same name in the same place of a workspace the same files
/// in the target directory that all tests share: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A workspace of a service that declares no events, and one that does; both depend on a crate of events.
fn workspace() -> (MutexGuard<'static, ()>, Fixture) {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Fixture::empty();
    workspace.write(
        "Cargo.toml",
        &format!("[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n{PROFILE}"),
    );
    let package = |name: &str, more: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[features]\nextra = []\n\n\
             [dependencies]\noutbox-runtime = {{ path = \"@runtime@\", default-features = false, features = [\"schema\"] }}\n\
             serde = {{ version = \"1\", features = [\"derive\"] }}\n{more}"
        )
    };
    let renamed = "declared = { package = \"pk-events\", path = \"../events\" }\n";
    workspace.write("crates/events/Cargo.toml", &package("pk-events", ""));
    // A generic event without forms is nothing that whoever depends on it could mend.
    let generic = event("PkOpenV1").replace("PkOpenV1 { pub id: u8 }", "PkOpenV1<T> { pub id: T }");
    workspace.write(
        "crates/events/src/lib.rs",
        &format!(
            "{}{}#[cfg(feature = \"extra\")]\n{generic}",
            event("PkPlacedV1"),
            event("PkSentV1")
        ),
    );
    workspace.write("crates/reader/Cargo.toml", &package("pk-reader", renamed));
    workspace.write("crates/reader/src/lib.rs", "pub use declared::PkPlacedV1;\n");
    workspace.write("crates/sender/Cargo.toml", &package("pk-sender", renamed));
    workspace.write(
        "crates/sender/src/lib.rs",
        &format!(
            "pub use declared::PkPlacedV1;\n{}#[cfg(feature = \"extra\")]\n{}",
            event("PkOwnV1"),
            event("PkExtraV1")
        ),
    );
    (alone, workspace)
}

fn types(printed: &str) -> Vec<String> {
    let catalog: Value = serde_json::from_str(printed).unwrap();
    let events = catalog["events"].as_array().unwrap();
    let types = events
        .iter()
        .map(|event| event["event_type"].as_str().unwrap().to_owned());
    types.collect()
}

#[test]
fn only_the_events_of_the_package_count_and_the_others_by_name() {
    let (_alone, workspace) = workspace();
    assert_eq!(
        types(&workspace.outbox("catalog --json -p pk-sender").done()),
        ["PkOwnV1"]
    );
    let reader = workspace.outbox("catalog --json -p pk-reader");
    assert_eq!((reader.code, types(&reader.stdout)), (Some(0), Vec::new()));
    assert!(
        reader.stderr.contains("`pk-events`, which declares 2")
            && reader.stderr.contains("--include pk-events"),
        "{}",
        reader.stderr
    );
    let all = workspace.outbox_in("crates/reader/src", "catalog --json --include pk-events");
    assert_eq!(types(&all.done()), ["PkPlacedV1", "PkSentV1"]);
    // What is wrong with events that are not asked for is not this package's matter.
    let arguments = "catalog --json -p pk-sender --features declared/extra";
    assert_eq!(types(&workspace.outbox(arguments).done()), ["PkOwnV1"]);
    workspace
        .outbox(&format!("{arguments} --include pk-events"))
        .fails(1, &["PkOpenV1", "instances"]);
}

/// From the workspace's root and from everywhere in the package, as for `generate --all`.
#[test]
fn outbox_toml_holds_for_every_command() {
    let (_alone, workspace) = workspace();
    let section = "[package]\ninclude = [\"pk-events\"]\nfeatures = [\"extra\"]\n";
    workspace.write("crates/sender/outbox.toml", section);
    let expected = ["PkExtraV1", "PkOwnV1", "PkPlacedV1", "PkSentV1"];
    for (directory, arguments) in [
        ("", "-p pk-sender"),
        ("", "--manifest-path crates/sender/Cargo.toml"),
        ("", "--manifest-path crates/sender"),
        ("crates/sender/src", ""),
        ("crates/reader", "-p pk-sender"),
        ("crates", "--config sender/outbox.toml"),
        // The only one that a member has.
        ("", ""),
    ] {
        let printed = workspace
            .outbox_in(directory, &format!("catalog --json {arguments}"))
            .done();
        assert_eq!(types(&printed), expected, "{directory}: {arguments}");
    }
    // What the command line says comes first.
    let printed = workspace
        .outbox("catalog --json -p pk-sender --include pk-sender")
        .done();
    assert_eq!(types(&printed), ["PkExtraV1", "PkOwnV1"]);

    // At the root it is about the package that it names, and about no other one.
    std::fs::remove_file(workspace.path().join("crates/sender/outbox.toml")).unwrap();
    workspace.write("outbox.toml", &format!("{section}name = \"pk-sender\"\n"));
    for (directory, arguments) in [("", ""), ("", "-p pk-sender"), ("crates/sender/src", "")] {
        let printed = workspace
            .outbox_in(directory, &format!("catalog --json {arguments}"))
            .done();
        assert_eq!(types(&printed), expected, "{directory}: {arguments}");
    }
    for (directory, arguments) in [("", "-p pk-events"), ("crates/events", "")] {
        let printed = workspace
            .outbox_in(directory, &format!("catalog --json {arguments}"))
            .done();
        assert_eq!(
            types(&printed),
            ["PkPlacedV1", "PkSentV1"],
            "{directory}: {arguments}"
        );
    }

    workspace.write("outbox.toml", "[package]\nincludes = []\n");
    for command in ["catalog", "schema check --against schemas", "generate schemas"] {
        workspace.outbox(command).fails(
            2,
            &["outbox.toml:2: unknown key `includes`", "did you mean `include`?"],
        );
    }
}
