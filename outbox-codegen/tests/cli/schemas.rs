//! `outbox generate schemas` and `outbox schema check`

use std::fs;
use std::process::Command;

use outbox_compatibility::assert_compatible;
use outbox_runtime::catalog::CatalogDocument;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::generate::golden;
use crate::{Place, Ran, shop};

const GENERATE: &str = "generate schemas --catalog catalog.json";
const CHECK: &str = "schema check --catalog catalog.json --against";

fn place(catalog: &CatalogDocument) -> Place {
    let place = Place::new();
    shop::write(&place, catalog);
    place
}

/// A place with schemas, and a catalog that came after them.
fn changed(change: impl FnOnce(&mut CatalogDocument)) -> Place {
    let mut catalog = shop::catalog();
    let place = place(&catalog);
    place.run(GENERATE).done();
    change(&mut catalog);
    shop::write(&place, &catalog);
    place
}

fn schema_of<'a>(catalog: &'a mut CatalogDocument, event_type: &str) -> &'a mut Value {
    let event = catalog
        .events
        .iter_mut()
        .find(|event| event.event_type == event_type);
    event.unwrap().schema.as_mut().unwrap()
}

#[track_caller]
fn finds(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    for word in words {
        assert!(ran.stdout.contains(word), "no {word:?} in {}", ran.stdout);
    }
}

/// What is generated is looked at in review.
#[test]
fn the_generated_files_are_those_that_were_reviewed() {
    let place = place(&shop::catalog());
    let mut command = place.command(&format!("{GENERATE} --check --dir"));
    let ran = Ran::from(command.arg(golden("schemas")).output().unwrap());
    assert_eq!(ran.done(), "the 4 files are up to date\n");
    assert_eq!(fs::read_dir(golden("schemas")).unwrap().count(), 4);
}

/// By the validator of another library: the files are JSON Schemas of 2020-12, and the payloads are of them.
#[test]
fn payloads_are_of_their_schemas() {
    let file = |name: &str| -> Value {
        let text = fs::read_to_string(golden("schemas").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let order_id = Uuid::nil();
    let line = |dimensions| shop::Line {
        sku: "A".to_owned(),
        quantity: 2,
        price: shop::Money {
            cents: -1,
            currency: shop::Currency::Sek,
        },
        dimensions,
    };
    let invoice = shop::Payment::Invoice(shop::Invoice { due_in_days: 30 });
    let card = shop::Payment::Card {
        last_digits: "1234".to_owned(),
    };
    let placed = |payment, note| {
        serde_json::to_value(shop::OrderPlacedV1 {
            order_id,
            lines: vec![line(None), line(Some((1, 2, 3)))],
            payment,
            note,
            tenant: "t".to_owned(),
            request_id: "r".to_owned(),
        })
    };
    let category = |below| shop::CategoryMoved {
        region: "eu".to_owned(),
        name: "a".to_owned(),
        below,
    };
    let total = shop::Money {
        cents: 1,
        currency: shop::Currency::Eur,
    };
    let order = shop::Order {
        id: order_id,
        total,
        discounts: [("spring".to_owned(), 5)].into(),
    };
    let other = shop::Reason::Other("late".to_owned());
    for (name, payload) in [
        ("OrderPlacedV1.v1.json", placed(invoice, None)),
        ("OrderPlacedV1.v1.json", placed(card, Some("n".to_owned()))),
        ("OrderPlacedV1.v1.json", placed(shop::Payment::Cash, None)),
        (
            "OrderPlacedV2.v2.json",
            serde_json::to_value(shop::OrderPlacedV2 { order }),
        ),
        (
            "CategoryMoved.v1.json",
            serde_json::to_value(category(vec![category(vec![])])),
        ),
        (
            "OrderCancelled.v1.json",
            serde_json::to_value(shop::OrderCancelled {
                order_id: 1,
                reason: other,
            }),
        ),
        (
            "OrderCancelled.v1.json",
            serde_json::to_value(shop::OrderCancelled {
                order_id: 1,
                reason: shop::Reason::OutOfStock,
            }),
        ),
    ] {
        let schema = file(name);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        let validator = jsonschema::validator_for(&schema).unwrap();
        let payload = payload.unwrap();
        assert!(validator.is_valid(&payload), "{name} does not take {payload}");
        assert!(!validator.is_valid(&json!({})), "{name} takes anything");
    }
}

#[test]
fn an_edited_file_is_found_and_kept_unless_forced() {
    let place = place(&shop::catalog());
    place.run(GENERATE).done();
    let path = place.path().join("schemas/OrderCancelled.v1.json");
    let edited = fs::read_to_string(&path)
        .unwrap()
        .replace("so that both", "edited");
    fs::write(&path, &edited).unwrap();
    place
        .run(&format!("{GENERATE} --check"))
        .fails(3, &["OrderCancelled.v1.json", "edited"]);
    place
        .run(GENERATE)
        .fails(1, &["OrderCancelled.v1.json", "--force"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    place.run(&format!("{GENERATE} --force")).done();
    assert_eq!(
        place.run(&format!("{GENERATE} --check")).done(),
        "the 4 files are up to date\n"
    );
}

#[test]
fn an_event_without_a_schema_is_named() {
    let mut catalog = shop::catalog();
    catalog.events[0].schema = None;
    let name = catalog.events[0].event_type.clone();
    let with = place(&catalog).run(GENERATE);
    assert_eq!(with.code, Some(0), "{with:?}");
    assert!(
        with.stderr.contains(&format!("note: {name} v1 has no schema")),
        "{with:?}"
    );
    catalog.events.truncate(1);
    let ran = place(&catalog).run(GENERATE);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("no event of `shop` has a schema"), "{ran:?}");
}

#[test]
fn two_events_in_one_file_are_an_error() {
    let mut catalog = shop::catalog();
    let mut twin = catalog.events[0].clone();
    twin.rust_type = "shop::other::Twin".to_owned();
    catalog.events.push(twin);
    place(&catalog)
        .run(GENERATE)
        .fails(1, &["two events belong into", "shop::other::Twin"]);
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

/// Of an event that is gone, the file goes; what somebody has edited, or another program or package wrote, stays.
#[test]
fn files_of_removed_events_go() {
    let place = changed(|catalog| catalog.events.retain(|event| event.event_type != "CategoryMoved"));
    let path = |name: &str| place.path().join("schemas").join(name);
    let gone = path("CategoryMoved.v1.json");
    let text = fs::read_to_string(&gone).unwrap();
    fs::write(path("package.json"), "{}").unwrap();
    fs::write(
        path("Other.v1.json"),
        text.replace("urn:outbox:shop:", "urn:outbox:shop-events:"),
    )
    .unwrap();
    fs::write(
        path("Edited.v1.json"),
        text.replace("place among", "place between"),
    )
    .unwrap();
    let ran = place.run(&format!("{GENERATE} --check"));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for words in [
        "schemas/CategoryMoved.v1.json is obsolete: it is no longer generated\n",
        "schemas/Edited.v1.json is obsolete: it is no longer generated (edited by hand)",
    ] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    assert!(
        !ran.stderr.contains("Other") && !ran.stderr.contains("package.json"),
        "{ran:?}"
    );

    let ran = place.run(GENERATE);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "removed schemas/CategoryMoved.v1.json\n")
    );
    assert!(
        ran.stderr.contains("kept schemas/Edited.v1.json") && ran.stderr.contains("--force"),
        "{ran:?}"
    );
    assert!(!gone.exists() && path("Edited.v1.json").exists());
    assert_eq!(
        place.run(&format!("{GENERATE} --force")).done(),
        "removed schemas/Edited.v1.json\n"
    );
    place.run(&format!("{GENERATE} --check")).done();
    assert_eq!(fs::read_dir(path("")).unwrap().count(), 5);

    // The last event's file goes as well.
    let mut catalog = shop::catalog();
    catalog.events.clear();
    shop::write(&place, &catalog);
    assert_eq!(place.run(GENERATE).done().matches("removed").count(), 3);
    place.run(GENERATE).fails(2, &["no event of `shop` has a schema"]);
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

#[test]
fn outbox_toml_lists_them() {
    let place = place(&shop::catalog());
    let toml = "[schemas]\n[asyncapi]\nfile = \"docs/events.json\"\nhtml = \"docs/events.html\"\n";
    fs::write(place.path().join("outbox.toml"), toml).unwrap();
    let all = "generate --all --catalog catalog.json";
    let said = place.run(all).done();
    for name in [
        "schemas/OrderPlacedV1.v1.json",
        "docs/events.json",
        "docs/events.html",
    ] {
        assert!(said.contains(&format!("wrote {name}")), "{said}");
    }
    place.run(&format!("{all} --check")).done();
    fs::remove_file(place.path().join("docs/events.html")).unwrap();
    let ran = place.run(&format!("{all} --check"));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("docs/events.html is missing"), "{ran:?}");
}
