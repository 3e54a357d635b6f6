//! `outbox generate schemas`

use std::fs;

use outbox_runtime::catalog::CatalogDocument;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::generate::golden;
use crate::{Place, Ran, shop};

pub(crate) const GENERATE: &str = "generate schemas --catalog catalog.json";

fn place(catalog: &CatalogDocument) -> Place {
    let place = Place::new();
    shop::write(&place, catalog);
    place
}

/// A place with schemas, and a catalog that came after them.
pub(crate) fn changed(change: impl FnOnce(&mut CatalogDocument)) -> Place {
    let mut catalog = shop::catalog();
    let place = place(&catalog);
    place.run(GENERATE).done();
    change(&mut catalog);
    shop::write(&place, &catalog);
    place
}

pub(crate) fn schema_of<'a>(catalog: &'a mut CatalogDocument, event_type: &str) -> &'a mut Value {
    let event = catalog
        .events
        .iter_mut()
        .find(|event| event.event_type == event_type);
    event.unwrap().schema.as_mut().unwrap()
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

fn order_placed(payment: shop::Payment, note: Option<String>) -> shop::OrderPlacedV1 {
    let line = |dimensions| shop::Line {
        sku: "A".to_owned(),
        quantity: 2,
        price: shop::Money {
            cents: -1,
            currency: shop::Currency::Sek,
        },
        dimensions,
    };
    shop::OrderPlacedV1 {
        order_id: Uuid::nil(),
        lines: vec![line(None), line(Some((1, 2, 3)))],
        payment,
        note,
        tenant: "t".to_owned(),
        request_id: "r".to_owned(),
    }
}

fn order() -> shop::Order {
    shop::Order {
        id: Uuid::nil(),
        total: shop::Money {
            cents: 1,
            currency: shop::Currency::Eur,
        },
        discounts: [("spring".to_owned(), 5)].into(),
    }
}

/// Payloads of each event, with the file of its schema.
fn payloads() -> Vec<(&'static str, serde_json::Result<Value>)> {
    let placed = |payment, note| serde_json::to_value(order_placed(payment, note));
    let invoice = shop::Payment::Invoice(shop::Invoice { due_in_days: 30 });
    let card = shop::Payment::Card {
        last_digits: "1234".to_owned(),
    };
    let category = |below| shop::CategoryMoved {
        region: "eu".to_owned(),
        name: "a".to_owned(),
        below,
    };
    let moved = category(vec![category(vec![])]);
    let cancelled = |reason| serde_json::to_value(shop::OrderCancelled { order_id: 1, reason });
    let other = shop::Reason::Other("late".to_owned());
    vec![
        ("OrderPlacedV1.v1.json", placed(invoice, None)),
        ("OrderPlacedV1.v1.json", placed(card, Some("n".to_owned()))),
        ("OrderPlacedV1.v1.json", placed(shop::Payment::Cash, None)),
        (
            "OrderPlacedV2.v2.json",
            serde_json::to_value(shop::OrderPlacedV2 { order: order() }),
        ),
        ("CategoryMoved.v1.json", serde_json::to_value(moved)),
        ("OrderCancelled.v1.json", cancelled(other)),
        ("OrderCancelled.v1.json", cancelled(shop::Reason::OutOfStock)),
    ]
}

/// By the validator of another library: the files are JSON Schemas of 2020-12, and the payloads are of them.
#[test]
fn payloads_are_of_their_schemas() {
    for (name, payload) in payloads() {
        let text = fs::read_to_string(golden("schemas").join(name)).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
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
