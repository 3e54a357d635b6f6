//! The AsyncAPI document before the specification's own parser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::Place;

/// What the parser understood, and what it has to complain about.
fn parsed(path: &Path) -> Value {
    let cache = std::env::var("OUTBOX_TEST_CACHE").expect("run the tests with tests/run");
    let output = Command::new("node")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/tools/asyncapi.cjs"
        ))
        .arg(path)
        .env("NODE_PATH", format!("{cache}/node/node_modules"))
        .output()
        .expect("node is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_official_parser_takes_the_document() {
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cli/golden/asyncapi/asyncapi.json"
    );
    let understood = parsed(Path::new(golden));
    assert_eq!(understood["version"], "3.1.0");
    assert_eq!(
        (&understood["errors"], &understood["advice"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(
        understood["operations"],
        json!({
            "send.shop.order.placed.v1": ["OrderCancelled.v1", "OrderPlacedV1.v1"],
            "send.shop.order.placed.v2": ["OrderPlacedV2.v2"],
            "send.shop.region.categories": ["CategoryMoved.v1"],
        })
    );

    // It would say so if something were wrong.
    let place = Place::new();
    let broken = place.path().join("broken.json");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    document["operations"]["send.shop.order.placed.v2"]["messages"][0]["$ref"] =
        "#/components/messages/Nobody".into();
    fs::write(&broken, document.to_string()).unwrap();
    assert_ne!(parsed(&broken)["errors"], json!([]));
}
