//! `outbox topics` on Kafka.

use std::fs;

use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Place;

/// A service with two topics and a template, all of names that nobody else uses.
struct Shop {
    place: Place,
    name: String,
}

impl Shop {
    fn new() -> Self {
        let shop = Self {
            place: Place::new(),
            name: format!("shop-{}", Uuid::new_v4().simple()),
        };
        let event = |event_type: &str, topic: String| {
            json!({
                "event_type": event_type, "version": 1, "topic": topic, "aggregate": "order", "key": "order_id",
                "content_type": "application/json", "source": null, "occurred_at": null, "correlation_id": null,
                "headers": [], "rust_type": format!("shop::{event_type}"), "doc": "", "schema": null,
                "location": { "file": "src/lib.rs", "line": 1 },
            })
        };
        let events = [
            event("OrderPlacedV1", shop.topic("placed")),
            event("OrderPaidV1", shop.topic("placed")),
            event("OrderCancelledV1", shop.topic("cancelled")),
            event("ParcelSentV1", shop.topic("{region}.parcel")),
        ];
        let catalog = json!({ "schema_version": 1, "package": "shop", "events": events });
        fs::write(shop.place.path().join("catalog.json"), catalog.to_string()).unwrap();
        shop
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Writes `outbox.toml`; `{shop}` is what the topics' names begin with.
    fn says(&self, text: &str) -> &Self {
        fs::write(
            self.place.path().join("outbox.toml"),
            text.replace("{shop}", &self.name),
        )
        .unwrap();
        self
    }

    /// `outbox topics` with these arguments: the exit code, and each line of stdout without the shop's name.
    fn topics(&self, arguments: &str) -> (Option<i32>, Vec<String>, String) {
        let options = format!("--catalog catalog.json --brokers {}", brokers());
        let ran = self.place.run(&format!("topics {arguments} {options}"));
        let stdout = ran.stdout.replace(&format!("{}.", self.name), "");
        (ran.code, stdout.lines().map(str::to_owned).collect(), ran.stderr)
    }
}

const SETTINGS: &str = "
    [topics.defaults]
    partitions = 3
    replication_factor = 1
    retention = \"7days\"

    [topics.\"{shop}.cancelled\"]
    partitions = 1
    cleanup_policy = \"compact,delete\"
    settings = { \"compression.type\" = \"lz4\" }
";

#[tokio::test]
async fn what_is_missing_is_created_as_it_was_planned() {
    let shop = Shop::new();
    let (code, planned, notes) = shop.says(SETTINGS).topics("plan");
    let cancelled = "with partitions=1 replication_factor=1 cleanup.policy=compact,delete compression.type=lz4 \
                     retention.ms=604800000";
    let placed = "with partitions=3 replication_factor=1 retention.ms=604800000";
    let lines = |word: &str| {
        vec![
            format!("cancelled: {word} {cancelled}"),
            format!("placed: {word} {placed}"),
        ]
    };
    assert_eq!((code, planned), (Some(3), lines("to be created")), "{notes}");
    assert!(notes.contains("{region}.parcel is a template"), "{notes}");

    let (code, applied, notes) = shop.topics("apply");
    assert_eq!((code, applied), (Some(0), lines("created")), "{notes}");
    for command in ["plan", "apply"] {
        let (code, nothing, notes) = shop.topics(command);
        let same = vec!["nothing to do: the 2 topics match".to_owned()];
        assert_eq!((code, nothing), (Some(0), same), "{notes}");
    }
    let placed = Topic::named(&brokers(), &shop.topic("placed"), 3);
    assert_eq!(placed.end_offset().await, 0);

    let with_parcels = format!("{SETTINGS}\n[topics.\"{{shop}}.eu.parcel\"]\n");
    let (code, created, notes) = shop.says(&with_parcels).topics("apply");
    assert_eq!((code, notes.as_str()), (Some(0), ""));
    assert!(
        created.len() == 1 && created[0].starts_with("eu.parcel: created"),
        "{created:?}"
    );
}

/// `outbox.toml` names topics without the prefix, and the command line overrides its prefix.
#[tokio::test]
async fn each_environment_has_its_own_topics() {
    let shop = Shop::new();
    let settings = format!("topic_prefix = \"dev-\"\n{SETTINGS}");
    let (code, applied, notes) = shop.says(&settings).topics("apply");
    assert_eq!((code, applied.len()), (Some(0), 2), "{notes}");
    let topic = |prefix: &str| Topic::named(&brokers(), &format!("{prefix}{}", shop.topic("cancelled")), 1);
    assert!(topic("dev-").exists().await);
    assert!(!topic("").exists().await && !topic("test-").exists().await);
    let (code, ..) = shop.topics("plan");
    assert_eq!(code, Some(0));

    let (code, applied, notes) = shop.topics("apply --topic-prefix test-");
    assert_eq!((code, applied.len()), (Some(0), 2), "{notes}");
    assert!(topic("test-").exists().await);
}

#[tokio::test]
async fn every_difference_is_reported_and_none_is_changed() {
    let shop = Shop::new();
    shop.says(SETTINGS).topics("apply");
    let other = SETTINGS
        .replace("partitions = 3", "partitions = 2")
        .replace(
            "replication_factor = 1",
            "replication_factor = 2\nmax_message_bytes = 2000",
        )
        .replace("7days", "1day")
        .replace("partitions = 1", "partitions = 4")
        .replace("cleanup_policy = \"compact,delete\"", "");
    let moved = " (changing the number moves keys to other partitions, and their order is not kept across the change)";
    let differences = [
        format!("cancelled: partitions is 1, not 4{moved}"),
        "cancelled: replication_factor is 1, not 2".to_owned(),
        "cancelled: max.message.bytes is 1048588, not 2000".to_owned(),
        "cancelled: retention.ms is 604800000, not 86400000".to_owned(),
        format!("placed: partitions is 3, not 2{moved}"),
        "placed: replication_factor is 1, not 2".to_owned(),
        "placed: max.message.bytes is 1048588, not 2000".to_owned(),
        "placed: retention.ms is 604800000, not 86400000".to_owned(),
    ];
    let (code, planned, notes) = shop.says(&other).topics("plan");
    assert_eq!((code, planned.as_slice()), (Some(3), &differences[..]), "{notes}");
    let (code, json, _) = shop.topics("plan --json");
    let json: Value = serde_json::from_str(&json.join("\n")).unwrap();
    assert_eq!(
        (code, json["missing"].as_array().map(Vec::len)),
        (Some(3), Some(0))
    );
    assert_eq!(
        json["differences"].as_array().map(Vec::len),
        Some(differences.len())
    );

    let (code, left, notes) = shop.topics("apply");
    let expected: Vec<String> = differences
        .iter()
        .map(|line| format!("left unchanged: {line}"))
        .collect();
    assert_eq!((code, left), (Some(0), expected), "{notes}");
    assert_eq!(shop.says(SETTINGS).topics("plan").0, Some(0));
}

#[tokio::test]
async fn a_topic_that_the_broker_refuses_does_not_keep_the_others() {
    let shop = Shop::new();
    let wrong = SETTINGS.replace("partitions = 1", "replication_factor = 5");
    let (code, created, errors) = shop.says(&wrong).topics("apply");
    assert_eq!((code, created.len()), (Some(1), 1), "{errors}");
    assert!(created[0].starts_with("placed: created"), "{created:?}");
    assert!(
        errors.contains("cancelled: ") && errors.contains("what to do:"),
        "{errors}"
    );
}

/// The broker's own words name the setting.
#[tokio::test]
async fn a_setting_that_the_broker_refuses_is_named() {
    let shop = Shop::new();
    let wrong = SETTINGS.replace("\"lz4\"", "\"lz5\"");
    let (code, created, errors) = shop.says(&wrong).topics("apply");
    assert_eq!((code, created.len()), (Some(1), 1), "{errors}");
    for words in ["cancelled: ", "compression.type", "lz5"] {
        assert!(errors.contains(words), "no {words:?} in {errors}");
    }
}

#[test]
fn a_section_that_no_event_goes_to_is_wrong() {
    let shop = Shop::new();
    for (section, words) in [
        ("{shop}.plaecd", "placed`?"),
        ("{shop}.{region}.parcel", "template for several topics"),
        ("{shop}..parcel", "no event has this topic"),
    ] {
        let (code, stdout, errors) = shop
            .says(&format!("[topics.\"{section}\"]\npartitions = 1"))
            .topics("plan");
        assert_eq!((code, stdout.len()), (Some(2), 0), "{section}: {errors}");
        assert!(errors.contains(words), "{section}: {errors}");
    }
}

#[test]
fn wrong_properties_and_unavailable_brokers_are_distinguished() {
    let shop = Shop::new();
    shop.says("");
    for (arguments, code, words) in [
        ("--brokers 127.0.0.1:1 --connect-timeout 500ms", 4, "cannot reach"),
        ("--brokers 127.0.0.1:1 -X sasl.pasword=hunter2", 2, "sasl.pasword"),
        ("--brokers 127.0.0.1:1 -X hunter2", 2, "`=`"),
        ("--brokers 127.0.0.1:1 -X bootstrap.servers=x", 2, "--brokers"),
    ] {
        let ran = shop
            .place
            .run(&format!("topics plan --catalog catalog.json {arguments}"));
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        ran.fails(code, &[words]);
    }
}
