//! What is listed.

use serde_json::{Value, json};

use crate::{Fixture, shop};

fn types(catalog: &Value) -> Vec<&str> {
    let events = catalog["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect()
}

fn event<'c>(catalog: &'c Value, event_type: &str) -> &'c Value {
    let events = catalog["events"].as_array().unwrap();
    events
        .iter()
        .find(|event| event["event_type"] == event_type)
        .unwrap()
}

const EVENTS: [&str; 21] = [
    "AddressChangedV1",
    "CountedV1",
    "CustomerJoinedV1",
    "CustomerLeftV1",
    "CustomerMovedV1",
    "CustomerRenamedV1",
    "IncludedV1",
    "LimitChangedV1",
    "LocalV1",
    "OrderPackedV1",
    "OrderPlacedV1",
    "OrderPlacedV2",
    "OrderSentV1",
    "PaymentAskedV1",
    "PaymentRefusedV1",
    "PaymentTakenV1",
    "PointsEarnedV1",
    "ReturnRequestedV1",
    "ShipmentSentV1",
    "VisitedV1",
    "order.cancelled",
];

/// Without those whose feature is off, or that another system or a test has.
#[test]
fn every_event_is_there_whatever_its_shape() {
    let catalog = shop().catalog("-p shop-events");
    assert_eq!(
        (&catalog["schema_version"], &catalog["package"]),
        (&json!(1), &json!("shop-events"))
    );
    let without_loyalty: Vec<_> = EVENTS
        .into_iter()
        .filter(|event| *event != "PointsEarnedV1")
        .collect();
    assert_eq!(types(&catalog), without_loyalty);

    let placed = event(&catalog, "OrderPlacedV2");
    assert_eq!(placed["doc"], "An order was placed.\n\nWith its lines.");
    assert_eq!(placed["rust_type"], "shop_events::orders::OrderPlacedV2");
    assert_eq!(
        placed["location"],
        json!({"file": "events/src/orders.rs", "line": 27})
    );
    assert_eq!(
        (&placed["version"], &placed["source"]),
        (&json!(2), &json!("/shop"))
    );
    assert_eq!(
        placed["headers"][0],
        json!({"name": "x-tenant", "value": {"field": "tenant"}})
    );
    assert_eq!(
        placed["schema"]["required"],
        json!(["orderId", "tenantName", "lines"])
    );
    assert_eq!(placed["schema"]["$defs"]["Line"]["required"], json!(["sku"]));

    let cancelled = event(&catalog, "order.cancelled");
    assert_eq!(
        cancelled["rust_type"],
        "shop_events::orders::OrderEvent::Cancelled"
    );
    assert_eq!(
        (&cancelled["topic"], &cancelled["version"]),
        (&json!("shop.{reason}.cancelled"), &json!(2))
    );
    assert_eq!(
        event(&catalog, "LimitChangedV1")["rust_type"],
        "shop_events::generic::Changed<u32>"
    );
}

/// Once with each set of features, and each time the same text.
#[test]
fn features_decide_what_is_compiled() {
    let all = shop().outbox_in("events", "catalog --json --all-features").done();
    assert_eq!(types(&serde_json::from_str(&all).unwrap()), EVENTS);
    assert_eq!(
        shop()
            .outbox_in("events/src", "catalog --json --all-features")
            .done(),
        all
    );
    let few = shop().catalog("--manifest-path events/Cargo.toml --no-default-features --features loyalty");
    assert!(types(&few).contains(&"PointsEarnedV1") && !types(&few).contains(&"ReturnRequestedV1"));
}

/// Its library does not mention the crate that it depends on, and whose events it may send or only read.
#[test]
fn a_service_has_its_own_events_and_those_of_packages_that_are_named() {
    let catalog = shop().catalog("--package shop-service");
    assert_eq!(types(&catalog), ["SessionOpenedV1"]);
    let catalog = shop().catalog("--package shop-service --include shop-events");
    assert_eq!(types(&catalog).len(), 21);
    assert_eq!(catalog["package"], "shop-service");
    shop()
        .outbox("catalog -p shop-service --include shop-event")
        .fails(
            2,
            &[
                "`shop-service` does not depend on",
                "`shop-event`",
                "there are: shop-events",
            ],
        );
    let opened = event(&catalog, "SessionOpenedV1");
    assert_eq!(opened["location"]["file"], "service/src/lib.rs");
}

#[test]
fn people_get_a_table_and_a_written_catalog_reads_the_same() {
    let table = shop()
        .outbox("catalog -p shop-service --include shop-events")
        .done();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("EVENT "), "{table}");
    let cancelled = table
        .lines()
        .find(|line| line.starts_with("order.cancelled"))
        .unwrap();
    let words: Vec<_> = cancelled.split_whitespace().collect();
    let place = "events/src/orders.rs:47";
    assert_eq!(
        words,
        [
            "order.cancelled",
            "2",
            "shop.{reason}.cancelled",
            "order",
            "self.order_id()",
            "no",
            place
        ]
    );

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("catalog.json");
    std::fs::write(
        &file,
        shop()
            .outbox("catalog -p shop-service --include shop-events --json")
            .done(),
    )
    .unwrap();
    let read = shop()
        .outbox(&format!("catalog --catalog {}", file.display()))
        .done();
    assert_eq!(read, table);
}

#[test]
fn a_package_without_events_says_so() {
    let empty = Fixture::library("catalog-empty", &[("lib.rs", "//! Nothing yet.\n")]);
    assert_eq!(
        empty.outbox("catalog").done(),
        "`catalog-empty` declares no events\n"
    );
    assert_eq!(types(&empty.catalog("")), [""; 0]);
}

/// With `--nocapture` it says how long that takes, beside what the compiler takes for the crate itself.
#[test]
fn a_crate_of_two_hundred_events_is_listed() {
    let mut source = String::from("#![allow(dead_code)]\nuse schemars::JsonSchema;\nuse serde::Serialize;\n");
    for number in 0..200 {
        source += &format!(
            "#[derive(Serialize, JsonSchema)]\nstruct Part{number} {{ sku: String, amount: Option<u32> }}\n\
             #[derive(Serialize, JsonSchema, outbox_runtime::OutboxEvent)]\n#[outbox(topic = \"many.{number}\", \
             aggregate = \"thing\", key = id, schema)]\nstruct Many{number}V1 {{ id: u64, name: String, parts: \
             Vec<Part{number}>, note: Option<String> }}\n"
        );
    }
    let many = Fixture::library("catalog-many", &[("lib.rs", &source)]);
    for state in [
        "with the crate to compile",
        "with the crate compiled",
        "with nothing new",
    ] {
        if state == "with the crate compiled" {
            Fixture::forget_programs("catalog-many-");
        }
        let begin = std::time::Instant::now();
        let catalog = many.catalog("");
        eprintln!("200 events with schemas, {state}: {:?}", begin.elapsed());
        assert_eq!(types(&catalog).len(), 200);
        assert!(
            catalog["events"]
                .as_array()
                .unwrap()
                .iter()
                .all(|event| event["schema"].is_object())
        );
    }
}
