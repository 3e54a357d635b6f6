//! `outbox generate consumers`: what is generated compiles, and decodes what a relay has sent.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;

use crate::Place;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consumers");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Types and values as rows hold them: two versions side by side, a nested type, variants, a generic event, and what is
/// none of them.
const EVENTS: [(&str, Option<&str>); 8] = [
    ("OrderPlacedV1", Some(r#"{"orderId":1,"totalCents":4200}"#)),
    (
        "OrderPlacedV2",
        Some(
            r#"{"order_id":2,"lines":[{"sku":"bike","parts":[{"sku":"bell","parts":[]}]}],"note":null,"payment":{"kind":"card","last4":"4242"},"stock":{"7":-2},"reason":{"Gift":{"from":"me"}}}"#,
        ),
    ),
    (
        "ParcelSent",
        Some(r#"{"type":"ParcelSent","parcel_id":3,"to":{"street":"Storgatan"}}"#),
    ),
    (
        "address.changed",
        Some(r#"{"id":4,"after":{"street":"Lillgatan"}}"#),
    ),
    ("OrderPlacedV3", Some("{}")),
    ("RefundPaidV1", Some("{}")),
    ("OrderPlacedV1", None),
    ("OrderPlacedV1", Some(r#"{"orderId":"one"}"#)),
];

/// The events' crate and its consumers, in a directory of their own.
struct Consumers {
    place: Place,
}

impl Consumers {
    fn new() -> Self {
        let consumers = Self { place: Place::new() };
        copy(Path::new(SOURCES), consumers.place.path());
        for package in ["parcels", "reader"] {
            fs::copy(
                format!("{WORKSPACE}/Cargo.lock"),
                consumers.path(package).join("Cargo.lock"),
            )
            .unwrap();
        }
        consumers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A command without the variables that cargo sets for this test, which finds the generators.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.place.path());
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_"))
        {
            command.env_remove(variable);
        }
        command.envs(std::env::var_os("CARGO_HOME").map(|home| ("CARGO_HOME", home)));
        let cache =
            PathBuf::from(std::env::var("OUTBOX_TEST_CACHE").expect("run the tests through ./tests/run"));
        let tools = [cache.join("python/bin"), cache.join("node/node_modules/.bin")];
        let path = std::env::var("PATH").unwrap();
        let path = tools.map(|folder| folder.display().to_string()).join(":") + ":" + &path;
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        command.env("PATH", path).env("CARGO_TARGET_DIR", target);
        command
    }

    /// Generates for a language from the crate itself; a second time there is nothing to do.
    fn generate(&self, language: &str, directory: &str) {
        for expected in ["wrote", "nothing to do", "up to date"] {
            let check = if expected == "up to date" { "--check" } else { "" };
            let arguments = format!(
                "generate consumers --manifest-path parcels/Cargo.toml --lang {language} --dir {directory} {check}"
            );
            let ran = self
                .command(env!("CARGO_BIN_EXE_outbox"))
                .args(arguments.split_whitespace())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            assert!(text.contains(expected), "{text}");
        }
        self.was_reviewed(language, directory);
    }

    /// What is generated is looked at in review. After a change: the files of a run, copied to `golden`.
    fn was_reviewed(&self, language: &str, directory: &str) {
        let golden = format!("{SOURCES}/golden/{language}");
        for entry in fs::read_dir(&golden).unwrap() {
            let (reviewed, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            let generated = self.path(directory).join(&name);
            let read = |path: &Path| fs::read_to_string(path).unwrap();
            assert_eq!(
                read(&generated),
                read(&reviewed),
                "{} is not {}",
                generated.display(),
                reviewed.display()
            );
        }
        let count = |directory: &Path| fs::read_dir(directory).unwrap().count();
        let own = usize::from(language == "rust");
        assert_eq!(count(&self.path(directory)), count(Path::new(&golden)) + own);
    }

    /// Runs a command with this input, and returns the lines that it prints.
    fn lines(&self, command: &mut Command, input: &str) -> Vec<String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command:?}: {text}");
        text.lines().map(str::to_owned).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            let runtime = format!("{WORKSPACE}/outbox-runtime");
            fs::write(
                to,
                fs::read_to_string(from).unwrap().replace("@runtime@", &runtime),
            )
            .unwrap();
        }
    }
}

/// The events as Kafka holds them: a line for each, the header `ce_type` and behind a tab the value.
async fn relayed() -> String {
    let (place, database, topic) = (
        Place::new(),
        TestDatabase::postgres().await,
        Topic::create("consumers", 1).await,
    );
    for (event_type, value) in EVENTS {
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('a', 'k', $1, $2, $3::json)",
        )
        .bind(event_type)
        .bind(topic.name())
        .bind(value)
        .execute(&database.pool)
        .await
        .unwrap();
    }
    let ran = place.run(&format!(
        "relay --until-empty -D {} --brokers {}",
        database.url(),
        brokers()
    ));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = |record: &outbox_tests::kafka::ReadRecord| {
        let value = record
            .value
            .clone()
            .map(|value| format!("\t{}", String::from_utf8(value).unwrap()));
        format!(
            "{}{}",
            record.header("ce_type").unwrap(),
            value.unwrap_or_default()
        )
    };
    let lines: Vec<String> = topic.read_all().await.iter().map(line).collect();
    assert_eq!(lines.len(), EVENTS.len());
    lines.join("\n")
}

#[tokio::test]
async fn consumers_in_three_languages_decode_what_a_relay_sent() {
    let (consumers, records) = (Consumers::new(), relayed().await);
    rust(&consumers, &records);
    python(&consumers, &records);
    typescript(&consumers, &records);
}

fn rust(consumers: &Consumers, records: &str) {
    consumers.generate("rust", "reader/src");
    let mut run = consumers.command("cargo");
    let lines = consumers.lines(
        run.args(["run", "--quiet", "--manifest-path", "reader/Cargo.toml"]),
        records,
    );
    let expected = [
        "OrderPlacedV1(OrderPlacedV1 { order_id: 1, total_cents: 4200 })",
        "OrderPlacedV2(OrderPlacedV2 { order_id: 2, lines: [Line { sku: \"bike\", parts: [Line { sku: \"bell\", parts: \
         [] }] }], note: None, payment: Card { last4: \"4242\" }, stock: {7: -2}, reason: Gift { from: \"me\" } })",
        "ParcelSent(ParcelSent { parcel_id: 3, to: Address { street: \"Storgatan\" } })",
        "AddressChanged(Changed { id: 4, after: Address { street: \"Lillgatan\" } })",
        "UnknownVersion { event_type: \"OrderPlacedV3\", version: 3 }",
        "UnknownType { event_type: \"RefundPaidV1\" }",
        "Tombstone { event_type: \"OrderPlacedV1\" }",
    ];
    assert_eq!(lines[..7], expected);
    assert!(lines[7].starts_with("refused: invalid type"), "{lines:?}");
}

fn python(consumers: &Consumers, records: &str) {
    consumers.generate("python", "python/events");
    let mut check = consumers.command("mypy");
    consumers.lines(
        check
            .current_dir(consumers.path("python"))
            .args(["--strict", "."]),
        "",
    );
    // A project's formatter leaves what is generated alone.
    for (formatter, options) in [
        ("black", &["--check", "--quiet"][..]),
        ("isort", &["--check", "--profile=black"]),
    ] {
        let mut check = consumers.command(formatter);
        consumers.lines(check.args(options).arg("python/events"), "");
    }
    let mut run = consumers.command("python3");
    let lines = consumers.lines(run.args(["python/read.py"]), &format!("{records}\n"));
    let json = |index: usize| EVENTS[index].1.unwrap();
    let expected = [
        "4200 cents".to_owned(),
        format!("OrderPlacedV2 {}", json(1)),
        format!("ParcelSent {}", json(2)),
        format!("AddressChanged {}", json(3)),
        "UnknownVersion(event_type='OrderPlacedV3', version=3)".to_owned(),
        "UnknownType(event_type='RefundPaidV1')".to_owned(),
        "Tombstone(event_type='OrderPlacedV1')".to_owned(),
        "refused".to_owned(),
    ];
    // The models have their fields in the order in which the producer declares them, as the record has.
    assert_eq!(lines, expected);
}

fn typescript(consumers: &Consumers, records: &str) {
    consumers.generate("typescript", "typescript/events");
    let mut check = consumers.command("tsc");
    consumers.lines(check.args(["--project", "typescript"]), "");
    fs::write(
        consumers.path("typescript/out/package.json"),
        "{\"type\": \"module\"}",
    )
    .unwrap();
    let mut run = consumers.command("node");
    let lines = consumers.lines(run.args(["typescript/out/read.js", records]), "");
    let expected = [
        "4200 cents",
        "bike by card",
        "to Storgatan",
        "{\"type\":\"address.changed\",\"version\":1,\"value\":{\"id\":4,\"after\":{\"street\":\"Lillgatan\"}}}",
        "{\"type\":\"unknownVersion\",\"eventType\":\"OrderPlacedV3\",\"version\":3}",
        "{\"type\":\"unknownType\",\"eventType\":\"RefundPaidV1\"}",
        "{\"type\":\"tombstone\",\"eventType\":\"OrderPlacedV1\"}",
        // The types are promises of the producer: a value is not checked against them.
        "undefined cents",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_generator_that_is_missing_and_events_without_schema_are_reported() {
    let place = Place::new();
    let event = serde_json::json!({
        "event_type": "OrderPlacedV1", "version": 1, "topic": "orders", "aggregate": "order", "key": "id",
        "content_type": "application/json", "source": null, "occurred_at": null, "correlation_id": null,
        "headers": [], "rust_type": "shop::OrderPlacedV1", "doc": "", "schema": { "type": "object" },
        "location": { "file": "src/lib.rs", "line": 1 },
    });
    let write = |event: &serde_json::Value| {
        let catalog = serde_json::json!({ "schema_version": 1, "package": "shop", "events": [event] });
        fs::write(place.path().join("catalog.json"), catalog.to_string()).unwrap();
    };
    write(&event);
    for (language, install) in [("python", "pip install"), ("typescript", "npm install")] {
        let mut command = place.command(&format!(
            "generate consumers --catalog catalog.json --lang {language} --dir out"
        ));
        let ran = crate::outbox::Ran::from(command.env("PATH", "").output().unwrap());
        ran.fails(2, &["is not installed", install]);
    }
    let mut without = event;
    without["schema"] = serde_json::Value::Null;
    write(&without);
    place
        .run("generate consumers --catalog catalog.json --lang python --dir out")
        .fails(2, &["shop::OrderPlacedV1", "#[outbox(schema)]"]);
}
