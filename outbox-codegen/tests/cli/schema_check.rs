//! `outbox schema check`

use std::fs;
use std::process::Command;

use outbox_compatibility::assert_compatible;
use serde_json::{Value, json};

use crate::generate::golden;
use crate::schemas::{GENERATE, changed, schema_of};
use crate::{Place, Ran};

const CHECK: &str = "schema check --catalog catalog.json --against";

#[track_caller]
fn finds(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    for word in words {
        assert!(ran.stdout.contains(word), "no {word:?} in {}", ran.stdout);
    }
}

#[test]
fn the_same_events_are_compatible() {
    let place = changed(|catalog| catalog.events[0].doc = "Other words.".to_owned());
    let said = place.run(&format!("{CHECK} schemas")).done();
    assert_eq!(
        said,
        "compatible: 4 events compared, 0 new, 0 not checked, 0 breaking changes\n"
    );
}

#[test]
fn a_variant_that_is_gone_is_found_with_its_place_and_a_way_out() {
    let place = changed(|catalog| {
        let variants = schema_of(catalog, "OrderPlacedV1")["$defs"]["Payment"]["oneOf"]
            .as_array_mut()
            .unwrap();
        variants.retain(|variant| variant["properties"]["method"]["const"] != "cash");
    });
    let ran = place.run(&format!("{CHECK} schemas"));
    finds(
        &ran,
        &[
            "OrderPlacedV1 v1: changed",
            "breaks  $.payment(cash): the variant `cash` was removed",
            "backward: old data may hold the variant `cash`, which new readers do not know",
            "declare `OrderPlacedV2`",
        ],
    );
    let forward = place
        .run(&format!("{CHECK} schemas --compatibility forward"))
        .done();
    assert!(forward.contains("allowed  $.payment(cash)"), "{forward}");
    place.run(&format!("{CHECK} schemas --compatibility none")).done();
}

#[test]
fn the_report_is_json_where_a_program_reads_it() {
    let place = changed(|catalog| {
        let order = schema_of(catalog, "OrderCancelled");
        order["properties"]["order_id"]["format"] = "uint32".into();
        catalog.events.retain(|event| event.event_type != "CategoryMoved");
    });
    let ran = place.run(&format!("{CHECK} schemas --json"));
    finds(&ran, &[]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&report["schema_version"], &report["compatible"]),
        (&json!(1), &json!(false))
    );
    let event = |name: &str| {
        report["events"]
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["event_type"] == name)
            .unwrap()
    };
    assert_eq!(event("CategoryMoved")["state"], "removed");
    assert_eq!(event("OrderPlacedV2")["state"], "unchanged");
    let difference = &event("OrderCancelled")["differences"][0];
    assert_eq!(difference["path"], "$.order_id");
    assert_eq!(difference["breaks"][0]["direction"], "backward");
    assert_eq!(difference["breaks"].as_array().unwrap().len(), 1);
}

#[test]
fn the_schemas_of_a_revision() {
    let place = changed(|catalog| catalog.events[0].topic = "elsewhere".to_owned());
    let git = |arguments: &str| git(&place, arguments);
    git("init --quiet");
    git("add schemas");
    git("commit --quiet --message=schemas");
    git("tag v1");
    fs::rename(place.path().join("schemas"), place.path().join("contracts")).unwrap();
    git("add --all contracts schemas");
    git("commit --quiet --message=contracts");

    finds(
        &place.run(&format!("{CHECK} git:v1")),
        &["topic: was", "is `elsewhere`"],
    );
    finds(
        &place.run(&format!("{CHECK} git:HEAD:contracts/")),
        &["topic: was"],
    );
    place
        .run(&format!("{CHECK} git:nowhere"))
        .fails(2, &["git does not know the revision `nowhere`"]);
    place
        .run(&format!("{CHECK} git:--help"))
        .fails(2, &["git does not know the revision `--help`"]);

    // From a directory below, the place is seen from there.
    let below = place.path().join("below");
    fs::create_dir(&below).unwrap();
    let mut command = place.command("schema check --catalog ../catalog.json --against git:v1:../schemas");
    finds(
        &Ran::from(command.current_dir(below).output().unwrap()),
        &["topic: was"],
    );
}

#[test]
fn what_cannot_be_compared_is_reported() {
    let place = changed(|_| ());
    place
        .run(&format!("{CHECK} nowhere"))
        .fails(2, &["nowhere", "because:", "outbox generate schemas"]);
    fs::write(place.path().join("schemas/package.json"), "{}").unwrap();
    place
        .run(&format!("{CHECK} schemas"))
        .fails(2, &["package.json", "did not write it"]);
    fs::write(place.path().join("schemas/package.json"), "{,}").unwrap();
    place
        .run(&format!("{CHECK} schemas"))
        .fails(2, &["package.json", "no JSON"]);
    place
        .run("schema check --catalog catalog.json")
        .fails(2, &["--against"]);
}

fn git(place: &Place, arguments: &str) {
    let mut command = Command::new("git");
    command
        .current_dir(place.path())
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"]);
    let output = command.args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "git {arguments}: {output:?}");
}

/// The change that adds the first schemas has nothing to be compared with, and that is no error.
#[test]
fn the_first_schemas_pass() {
    let place = changed(|_| ());
    git(&place, "init --quiet");
    git(&place, "add catalog.json");
    git(&place, "commit --quiet --message=before");
    git(&place, "branch before");
    git(&place, "add schemas");
    git(&place, "commit --quiet --message=schemas");
    let passes = |against: &str, at: &str| {
        let said = place.run(&format!("{CHECK} {against}")).done();
        let nothing = format!("nothing to compare: there is no schema file in `{at}` yet\n");
        assert!(said.starts_with(&nothing), "{said}");
        assert!(said.contains("0 events compared, 4 new"), "{said}");
    };
    passes("git:before", "git:before:schemas");
    fs::create_dir(place.path().join("empty")).unwrap();
    passes("empty", "empty");
    // Another checkout, from before there were any.
    passes("empty/schemas", "empty/schemas");
    // Before the files are written.
    fs::rename(place.path().join("schemas"), place.path().join("contracts")).unwrap();
    passes("git:before", "git:before:schemas");
    passes("git:before:contracts", "git:before:contracts");
    place.run(&format!("{CHECK} git:before:contarcts")).fails(
        2,
        &[
            "no schema file in `git:before:contarcts`",
            "no directory `contarcts` here",
        ],
    );

    let ran = place.run(&format!("{CHECK} git:before --json"));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["compatible"]), (Some(0), &json!(true)));
    assert!(ran.stderr.starts_with("note: nothing to compare"), "{ran:?}");

    // Where `outbox.toml` says that they are.
    fs::write(
        place.path().join("outbox.toml"),
        "[schemas]\ndir = \"contracts\"\n",
    )
    .unwrap();
    passes("git:before", "git:before:contracts");
    git(&place, "add --all contracts schemas");
    git(&place, "commit --quiet --message=contracts");
    let said = place.run(&format!("{CHECK} git:HEAD")).done();
    assert!(said.contains("4 events compared, 0 new"), "{said}");
    assert!(
        place
            .run("generate schemas --catalog catalog.json --check")
            .done()
            .contains("4 files")
    );
}

/// The same comparison in a service's own tests.
#[test]
fn one_line_of_a_test_compares_as_well() {
    assert_compatible(golden("schemas"));

    let place = changed(|catalog| {
        let order = schema_of(catalog, "OrderCancelled");
        order["properties"]["comment"] = json!({"type": "string"});
        order["required"].as_array_mut().unwrap().push("comment".into());
    });
    // What the program declares now is older than these files: it lacks what they require.
    place.run(&format!("{GENERATE} --force")).done();
    let schemas = place.path().join("schemas");
    let panic = std::panic::catch_unwind(|| assert_compatible(&schemas)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("breaks  $.comment: the required field was removed"),
        "{text}"
    );
    let panic = std::panic::catch_unwind(|| assert_compatible("nowhere")).unwrap_err();
    assert!(
        panic
            .downcast_ref::<String>()
            .unwrap()
            .contains("cannot be compared with nowhere")
    );
}
