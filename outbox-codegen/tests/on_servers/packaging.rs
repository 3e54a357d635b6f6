//! The manifests and the chart, by Helm and by Kubernetes' own schemas.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::Place;

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");

/// What nobody else can know.
const REQUIRED: [&str; 2] = [
    "database.url=postgres://outbox_relay_user@postgres:5432/shop?sslmode=verify-full",
    "kafka.brokers=kafka:9093",
];

fn cache() -> PathBuf {
    PathBuf::from(std::env::var("OUTBOX_TEST_CACHE").expect("run the tests with tests/run"))
}

fn helm(arguments: &[&str], values: &[&str]) -> Output {
    let mut command = Command::new(cache().join("helm/helm"));
    command.args(arguments);
    for value in values {
        command.args(["--set", value]);
    }
    command.output().expect("helm is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The chart's objects, as the release `outbox-relay`.
fn rendered(values: &[&str]) -> String {
    let values = [&REQUIRED[..], values].concat();
    let chart = format!("{PACKAGING}/helm/outbox");
    let output = helm(&["template", "outbox-relay", &chart], &values);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Fails with what differs from the schemas, unknown fields too.
fn validate(files: &[&Path]) -> String {
    let output = Command::new(cache().join("python/bin/kubernetes-validate"))
        .arg("--strict")
        .args(files)
        .output()
        .expect("kubernetes-validate is there");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// The objects in YAML, by their kind.
fn objects(yaml: &str) -> Vec<Value> {
    let place = Place::new();
    let file = place.path().join("objects.yaml");
    std::fs::write(&file, yaml).unwrap();
    let read =
        "import json, sys, yaml; print(json.dumps([o for o in yaml.safe_load_all(open(sys.argv[1])) if o]))";
    let output = Command::new(cache().join("python/bin/python"))
        .args(["-c", read])
        .arg(&file)
        .output()
        .expect("Python is there");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut objects: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    objects.sort_by_key(|object| object["kind"].as_str().map(str::to_owned));
    objects
}

/// What the objects do, whatever labels find them.
fn without_labels(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for of_helm in ["labels", "annotations", "serviceAccountName", "imagePullPolicy"] {
                fields.remove(of_helm);
            }
            let is_ours = |labels: &Value| {
                labels
                    .as_object()
                    .is_some_and(|labels| labels.keys().all(|label| label.starts_with("app.kubernetes.io/")))
            };
            if fields.get("matchLabels").is_some_and(is_ours) {
                fields.remove("matchLabels");
            }
            fields.values_mut().for_each(without_labels);
        }
        Value::Array(items) => items.iter_mut().for_each(without_labels),
        _ => {}
    }
}

#[test]
fn the_manifests_are_what_kubernetes_takes() {
    let mut files: Vec<_> = std::fs::read_dir(format!("{PACKAGING}/kubernetes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let said = validate(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(said.matches("passed for resource").count(), 5, "{said}");
}

#[test]
fn the_chart_is_what_helm_and_kubernetes_take() {
    let chart = format!("{PACKAGING}/helm/outbox");
    let lint = helm(&["lint", "--strict", "--quiet", &chart], &REQUIRED);
    assert!(
        lint.status.success(),
        "{}{}",
        text(&lint.stdout),
        text(&lint.stderr)
    );
    let place = Place::new();
    let all_off = [
        "database.passwordSecret=null",
        "kafka.propertiesSecret=null",
        "migration.enabled=false",
        "serviceAccount.create=false",
        "podDisruptionBudget.enabled=false",
        "networkPolicy.enabled=false",
    ];
    let all_on = [
        "podMonitor.enabled=true",
        "image.pullSecrets[0].name=registry",
        "settings.OUTBOX_RETENTION=7d",
        "arguments[0]=--block=orders",
        "migration.arguments[0]=--partitioned",
        "podAnnotations.team=shop",
        "podLabels.team=shop",
        "nodeSelector.disk=ssd",
        "tolerations[0].operator=Exists",
        "volumes[0].name=ca",
        "volumes[0].configMap.name=ca",
        "volumeMounts[0].name=ca",
        "volumeMounts[0].mountPath=/etc/ca",
        "serviceAccount.annotations.role=relay",
    ];
    for (values, kinds) in [(&[][..], 6), (&all_off[..], 2), (&all_on[..], 6)] {
        let file = place.path().join("chart.yaml");
        std::fs::write(&file, rendered(values)).unwrap();
        let said = validate(&[&file]);
        assert_eq!(said.matches("passed for resource").count(), kinds, "{said}");
    }
}

#[test]
fn the_chart_does_what_the_manifests_do() {
    let read = |name: &str| std::fs::read_to_string(format!("{PACKAGING}/kubernetes/{name}.yaml")).unwrap();
    let files = ["migrate", "podmonitor", "relay"].map(read);
    let mut wanted = objects(&files.join("\n---\n"));
    let mut chart = objects(&rendered(&["podMonitor.enabled=true"]));
    // The manifests use the namespace's own account.
    chart.retain(|object| object["kind"] != "ServiceAccount");
    for object in wanted.iter_mut().chain(&mut chart) {
        // A chart's job is a hook, which is removed before it is made again.
        if object["kind"] == "Job" {
            object["metadata"]["name"] = "migrate".into();
        }
        without_labels(object);
    }
    assert_eq!(chart.len(), wanted.len());
    for (chart, wanted) in chart.iter().zip(&wanted) {
        assert_eq!(chart, wanted);
    }
}

#[test]
fn wrong_values_are_refused() {
    let chart = format!("{PACKAGING}/helm/outbox");
    for (values, word) in [
        (&[][..], "/database/url"),
        (
            &["database.url=postgres://me:secret@postgres/shop"][..],
            "/database/url",
        ),
        (&["replicas=0"][..], "/replicas"),
        (&["replica=2"][..], "replica"),
        (
            &["settings.DATABASE_URL=postgres://elsewhere/shop"][..],
            "propertyName 'DATABASE_URL'",
        ),
        (&["kafka.propertiesSecret.value=sasl.password"][..], "/kafka"),
        (
            &["terminationGracePeriodSeconds=5"][..],
            "/terminationGracePeriodSeconds",
        ),
        (&["networkPolicy.ports[0]=postgres"][..], "/networkPolicy/ports/0"),
    ] {
        let required = if values.is_empty() { &[][..] } else { &REQUIRED[..] };
        let output = helm(
            &["template", "outbox-relay", &chart],
            &[required, values].concat(),
        );
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains(word),
            "{values:?}: {said}"
        );
    }
}
