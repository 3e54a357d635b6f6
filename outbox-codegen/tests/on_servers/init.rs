//! `outbox init` on a fresh service: what it prints is done by a program, and ends with an event in Kafka.

use std::fs;
use std::future::ready;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use outbox_tests::TestDatabase;
use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers::{PostgresVersion, brokers};
use outbox_tests::wait_until;

use crate::Place;

const TOOLKIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How long the service may take to compile, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(540);

/// What is printed, in its parts.
struct Printed {
    dependencies: String,
    main: String,
    shell: String,
    topic: String,
}

impl Printed {
    fn read(text: &str) -> Self {
        let (_, rest) = text.split_once("Run:\n\n").unwrap();
        let (dependencies, rest) = rest.split_once("\n\nsrc/main.rs:\n\n").unwrap();
        let (main, rest) = rest.split_once("\n\nThen run:\n\n").unwrap();
        let (shell, rest) = rest.split_once("\n\nThe event is now in the topic ").unwrap();
        Self {
            dependencies: dependencies.to_owned(),
            main: main.to_owned(),
            shell: shell.to_owned(),
            topic: rest.trim_end().trim_end_matches('.').to_owned(),
        }
    }
}

/// A fresh `cargo new` in a directory of its own.
struct Service {
    place: Place,
    name: &'static str,
}

impl Service {
    fn new(name: &'static str) -> Self {
        let service = Self {
            place: Place::new(),
            name,
        };
        let created = service
            .command("cargo")
            .args(["new", "--quiet", "--vcs", "none", name])
            .status();
        assert!(created.unwrap().success());
        // The same versions and settings as everywhere, so that little is compiled again.
        fs::copy(format!("{TOOLKIT}/Cargo.lock"), service.path("Cargo.lock")).unwrap();
        service
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.place.path().join(self.name).join(file)
    }

    /// A command without the variables that cargo sets for this test, which finds `outbox`.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.place.path());
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_"))
        {
            command.env_remove(variable);
        }
        command.envs(std::env::var_os("CARGO_HOME").map(|home| ("CARGO_HOME", home)));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let outbox = Path::new(env!("CARGO_BIN_EXE_outbox"))
            .parent()
            .unwrap()
            .display();
        let path = std::env::var("PATH").unwrap();
        command
            .env("CARGO_TARGET_DIR", target)
            .env("PATH", format!("{outbox}:{path}"));
        command
    }

    fn outbox(&self, arguments: &str) -> (Option<i32>, String, String) {
        let output = self
            .command("outbox")
            .current_dir(self.path(""))
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn run(&self, script: &str) {
        let ran = self
            .command("sh")
            .args(["-euc", script])
            .current_dir(self.path(""))
            // What is locked is there, and nothing else is asked for.
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// Does what is printed.
    fn follow(&self, printed: &Printed, url: Option<&str>) -> Running {
        let profile =
            "[profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n";
        self.run(&printed.dependencies);
        // The dependencies of both databases' services have the same features, and are compiled once.
        let dependencies = format!(
            "cargo add --quiet --path {TOOLKIT}/outbox-runtime --features postgres,sqlite\n\
             cargo add --quiet sqlx@0.9 --no-default-features --features postgres,sqlite"
        );
        self.run(&dependencies);
        let manifest = fs::read_to_string(self.path("Cargo.toml")).unwrap();
        fs::write(self.path("Cargo.toml"), format!("{manifest}\n{profile}")).unwrap();
        fs::write(self.path("src/main.rs"), &printed.main).unwrap();
        let line = |line: &str| match (line.split_once('='), url) {
            (Some(("export DATABASE_URL", _)), Some(url)) => format!("export DATABASE_URL={url}"),
            (Some(("export KAFKA_BROKERS", _)), _) => format!("export KAFKA_BROKERS={}", brokers()),
            _ => line.to_owned(),
        };
        let script: Vec<String> = printed.shell.lines().map(line).collect();
        let mut command = self.command("setpriv");
        command
            .args([
                "--pdeathsig",
                "TERM",
                "--",
                "sh",
                "-euc",
                &script.join("\n").replace("cargo run", "exec cargo run"),
            ])
            .current_dir(self.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Running(command.spawn().unwrap())
    }
}

/// The service, killed when this value goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the topic holds, once it is there.
async fn records(topic: &str) -> Vec<ReadRecord> {
    let topic = Topic::named(&brokers(), topic, 6);
    if topic.exists().await {
        topic.read_all().await
    } else {
        Vec::new()
    }
}

async fn follow_init(name: &'static str, database: &str, url: Option<&str>) {
    let service = Service::new(name);
    let (code, stdout, stderr) = service.outbox(&format!("init --database {database} --toolkit {TOOLKIT}"));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let printed = Printed::read(&stdout);
    let before = records(&printed.topic).await.len();
    let mut running = service.follow(&printed, url);
    let record = wait_until("the event to be in Kafka", PATIENCE, || {
        let ended = running.0.try_wait().unwrap();
        assert!(ended.is_none(), "the service ended: {ended:?}");
        let found = records(&printed.topic);
        async move { found.await.into_iter().nth(before) }
    })
    .await;
    assert_eq!(record.key_text(), Some(name));
    assert_eq!(record.header("ce_type"), Some("ServiceStartedV1"));
    let value: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    assert_eq!(value, serde_json::json!({ "service": name }));

    let interrupted = Command::new("kill")
        .args(["-s", "INT", &running.0.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let ended = wait_until("the service to stop", PATIENCE, || {
        ready(running.0.try_wait().unwrap())
    })
    .await;
    assert!(ended.success(), "{ended:?}");

    // All that is generated is what was written, and a second time nothing is touched.
    let (code, stdout, stderr) = service.outbox("generate --all --check");
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let files = ["outbox.toml", "src/lib.rs", "src/outbox_events.rs", "src/main.rs"];
    let contents = || files.map(|file| fs::read_to_string(service.path(file)).unwrap());
    let there = contents();
    let (code, stdout, stderr) = service.outbox(&format!("init --database {database}"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("kept outbox.toml") && stdout.contains("kept src/outbox_events.rs"),
        "{stdout}"
    );
    assert_eq!(contents(), there);
}

#[tokio::test]
async fn what_init_prints_ends_with_an_event_from_postgres() {
    let database = TestDatabase::empty_postgres_at(PostgresVersion::Distribution).await;
    follow_init("fresh-postgres", "postgres", Some(&database.url())).await;
}

#[tokio::test]
async fn what_init_prints_ends_with_an_event_from_sqlite() {
    follow_init("fresh-sqlite", "sqlite", None).await;
}
