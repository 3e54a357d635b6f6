//! `outbox generate asyncapi`

use std::fs;

use serde_json::{Value, json};

use crate::generate::golden;
use crate::{Place, Ran, shop};

const GENERATE: &str =
    "generate asyncapi --catalog catalog.json --title Shop --version 2.1.0 --html docs/events.html";

fn place() -> Place {
    let place = Place::new();
    shop::write(&place, &shop::catalog());
    place
}

fn generated() -> (Value, String) {
    let place = place();
    let said = place.run(GENERATE).done();
    assert_eq!(said, "wrote asyncapi.json\nwrote docs/events.html\n");
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    (
        serde_json::from_str(&read("asyncapi.json")).unwrap(),
        read("docs/events.html"),
    )
}

/// What is generated is looked at in review, the page in a browser.
#[test]
fn the_generated_document_and_page_are_those_that_were_reviewed() {
    let place = place();
    let mut command =
        place.command("generate asyncapi --catalog catalog.json --title Shop --version 2.1.0 --check");
    command.arg("--file").arg(golden("asyncapi/asyncapi.json"));
    command.arg("--html").arg(golden("asyncapi/events.html"));
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.done(), "the 2 files are up to date\n");
}

/// The official parser does not look at this.
#[test]
fn examples_are_of_their_schemas() {
    let (document, _) = generated();
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 4);
    for (name, message) in messages {
        for of in ["payload", "headers"] {
            let mut schema = document.clone();
            schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
            schema["allOf"] = json!([message[of]]);
            let validator = jsonschema::draft7::new(&schema).unwrap();
            let example = &message["examples"][0][of];
            let violations: Vec<String> = validator
                .iter_errors(example)
                .map(|error| error.to_string())
                .collect();
            assert!(violations.is_empty(), "{name}: {violations:#?}\nin {example:#}");
            assert!(!validator.is_valid(&json!({})), "{name}: its {of} take anything");
        }
    }
    assert_eq!(
        messages["OrderCancelled.v1"]["examples"][0]["payload"]["order_id"],
        17
    );
}

#[test]
fn a_topic_is_a_channel_and_a_template_has_parameters() {
    let (document, _) = generated();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), 3);
    let shared = channels["shop.order.placed.v1"]["messages"].as_object().unwrap();
    assert_eq!(
        shared.keys().collect::<Vec<_>>(),
        ["OrderCancelled.v1", "OrderPlacedV1.v1"]
    );
    let template = &channels["shop.region.categories"];
    assert_eq!(template["address"], "shop.{region}.categories");
    assert!(template["parameters"]["region"].is_object());
    assert_eq!(document["info"]["title"], "Shop");
    assert_eq!(document["info"]["version"], "2.1.0");
}

/// Nothing is fetched, nothing runs, and no text of an event becomes markup.
#[test]
fn the_page_needs_nothing_but_itself() {
    let (_, page) = generated();
    for wrong in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "src=",
        "@import",
        "url(",
        "<b>too late</b>",
    ] {
        assert!(!page.contains(wrong), "{wrong} stands in the page");
    }
    for target in page.split("href=\"").skip(1) {
        let target = target.split('"').next().unwrap();
        let id = target.strip_prefix('#').unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{target} leads nowhere");
    }
    for words in [
        "shop.{region}.categories",
        "&lt;b&gt;too late&lt;/b&gt;",
        "dueInDays",
        "the same type again",
    ] {
        assert!(page.contains(words), "no {words:?} in the page");
    }
}

#[test]
fn an_edited_document_is_found_and_kept_unless_forced() {
    let place = place();
    place.run(GENERATE).done();
    let page = place.path().join("docs/events.html");
    fs::write(&page, "mine").unwrap();
    place
        .run(&format!("{GENERATE} --check"))
        .fails(3, &["docs/events.html"]);
    place.run(GENERATE).fails(1, &["docs/events.html", "--force"]);
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");
    place.run(&format!("{GENERATE} --force")).done();
    assert_eq!(
        place.run(GENERATE).done(),
        "nothing to do: the 2 files are up to date\n"
    );
}

#[test]
fn an_example_that_is_not_of_its_schema_is_refused() {
    let mut catalog = shop::catalog();
    let cancelled = catalog
        .events
        .iter_mut()
        .find(|event| event.event_type == "OrderCancelled")
        .unwrap();
    cancelled.schema.as_mut().unwrap()["examples"] =
        json!([{"order_id": "seventeen", "reason": "OutOfStock"}]);
    let place = Place::new();
    shop::write(&place, &catalog);
    place
        .run(GENERATE)
        .fails(1, &["an example of OrderCancelled.v1", "seventeen"]);
}
