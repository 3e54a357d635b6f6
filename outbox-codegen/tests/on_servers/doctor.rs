//! `outbox doctor` on a server and a broker with faults that were planted, and on healthy ones.

use std::collections::BTreeSet;
use std::fs;

use outbox_runtime::schema::Role;
use outbox_runtime::{Tables, migrate};
use outbox_tests::kafka::Topic;
use outbox_tests::servers::{PostgresServer, PostgresVersion, brokers};
use outbox_tests::wait_until;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::outbox::PATIENCE;
use crate::{Place, Running};

/// A server of its own: settings, slots and prepared transactions are of all its databases.
struct Scene {
    place: Place,
    server: PostgresServer,
    pool: PgPool,
    cursors: Topic,
}

impl Scene {
    async fn new() -> Self {
        let settings = [("max_prepared_transactions", "3")];
        let server = PostgresServer::start_with(PostgresVersion::Distribution, &settings).await;
        let pool = PgPool::connect(&server.url()).await.unwrap();
        migrate(&pool, &Tables::default()).await.unwrap();
        let settings = [("cleanup.policy", "compact")];
        Self {
            place: Place::new(),
            cursors: Topic::create_at(&brokers(), "doctor-cursors", 1, &settings).await,
            server,
            pool,
        }
    }

    async fn run(&self, sql: &str) {
        // Each on its own, as the command says.
        for statement in sql.split("; ") {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&self.pool)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Writes a catalog with an event for each topic, and `outbox.toml`.
    fn wants(&self, topics: &[&str], toml: &str) {
        let events: Vec<Value> = topics
            .iter()
            .enumerate()
            .map(|(number, topic)| {
                json!({
                    "event_type": format!("E{number}"), "version": 1, "topic": topic, "aggregate": "order", "key": "id",
                    "content_type": "application/json", "source": null, "occurred_at": null, "correlation_id": null,
                    "headers": [], "rust_type": format!("shop::E{number}"), "doc": "", "schema": null,
                    "location": { "file": "src/lib.rs", "line": 1 },
                })
            })
            .collect();
        let catalog = json!({ "schema_version": 1, "package": "shop", "events": events });
        fs::write(self.place.path().join("catalog.json"), catalog.to_string()).unwrap();
        fs::write(self.place.path().join("outbox.toml"), toml).unwrap();
    }

    /// The exit code and the findings. Transactions are old at once, where `impatient`.
    fn doctor(&self, url: &str, cursors: &Topic, impatient: bool) -> (Option<i32>, Vec<Value>) {
        let age = if impatient {
            "--max-transaction-age 0ms"
        } else {
            ""
        };
        let ran = self.place.run(&format!(
            "doctor --json --catalog catalog.json -D {url} --brokers {} --cursor-topic {} {age}",
            brokers(),
            cursors.name()
        ));
        assert_eq!(ran.stderr, "");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran.code, report["findings"].as_array().unwrap().clone())
    }

    fn url_of(&self, role: &str) -> String {
        self.server.url().replace("postgres@", &format!("{role}@"))
    }

    /// One that delivers exactly once.
    fn start_relay(&self) -> Running {
        let relay = format!(
            "relay --delivery exactly-once -D {} --brokers {} --cursor-topic {}",
            self.server.url(),
            brokers(),
            self.cursors.name()
        );
        Running::start(self.place.command(&relay))
    }

    /// The others are a reader and a role without rights.
    async fn others_find_what_they_may_see(&self) {
        // A reader finds the same, and a note about what it does not see.
        self.run("CREATE ROLE watcher LOGIN").await;
        for grant in Role::Reader.grants(&Tables::default(), "public", "watcher") {
            self.run(&grant).await;
        }
        let (code, findings) = self.doctor(&self.url_of("watcher"), &self.cursors, false);
        assert_eq!(
            (code, codes(&findings)),
            (Some(0), ["not_visible"].into()),
            "{findings:#?}"
        );
        let grant = findings[0]["mend"][0]["sql"].as_str().unwrap();
        assert_eq!(grant, "GRANT pg_read_all_stats TO watcher");
        self.run(grant).await;
        wait_for_none(self, &self.url_of("watcher")).await;
        self.run("CREATE ROLE stranger LOGIN").await;
        let (code, findings) = self.doctor(&self.url_of("stranger"), &self.cursors, false);
        assert_eq!(code, Some(3));
        assert!(codes(&findings).contains("rights_missing"), "{findings:#?}");
    }

    /// Runs the first statement that each of the findings advises.
    async fn follow_advice(&self, findings: &[Value]) {
        // Whoever has a transaction open comes first: the others wait for it.
        let (first, then): (Vec<&Value>, Vec<&Value>) = findings
            .iter()
            .partition(|finding| finding["code"].as_str().unwrap().ends_with("_transaction"));
        for finding in first.into_iter().chain(then) {
            if let Some(sql) = finding["mend"]
                .as_array()
                .unwrap()
                .iter()
                .find_map(|mend| mend["sql"].as_str())
            {
                self.run(sql).await;
            }
        }
    }
}

fn codes(findings: &[Value]) -> BTreeSet<&str> {
    findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect()
}

async fn wait_for_none(scene: &Scene, url: &str) {
    wait_until("the doctor to find nothing", PATIENCE, async || {
        let (code, findings) = scene.doctor(url, &scene.cursors, false);
        match (code, findings.is_empty()) {
            (Some(0), true) => Some(()),
            _ => {
                eprintln!("{findings:#?}");
                None
            }
        }
    })
    .await;
}

/// Faults of the database, and the finding of each.
const PLANTED: &[(&str, &str)] = &[
    (
        "idle_timeout_off",
        "ALTER DATABASE postgres RESET idle_in_transaction_session_timeout",
    ),
    (
        "synchronous_commit_off",
        "ALTER DATABASE postgres SET synchronous_commit = off",
    ),
    (
        "fsync_off",
        "ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()",
    ),
    (
        "replication_slot",
        "SELECT pg_create_physical_replication_slot('forgotten', true)",
    ),
    ("index_missing", "DROP INDEX outbox_inbox_processed_at_idx"),
    (
        "index_invalid",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'outbox_messages_xid_seq_idx'::regclass",
    ),
    (
        "sequence_headroom",
        "ALTER SEQUENCE outbox_messages_seq_seq MAXVALUE 100000",
    ),
    (
        "autovacuum_off",
        "ALTER TABLE outbox_lease SET (autovacuum_enabled = off)",
    ),
    (
        "bloat",
        "DO $$ BEGIN FOR n IN 1..20000 LOOP UPDATE outbox_lease SET ttl_ms = ttl_ms;\nEND LOOP;\nEND $$",
    ),
];

/// The findings of the faults of Kafka, and of the message that is larger than its topic takes.
const OF_KAFKA: [&str; 7] = [
    "cursor_topic_policy",
    "dead_letters",
    "message_too_large",
    "min_insync_too_high",
    "topic_differs",
    "topic_missing",
    "unclean_leader_election",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planted_is_found_and_the_advice_corrects_it() {
    let scene = Scene::new().await;
    let good = Topic::create("doctor-good", 1).await;
    scene.wants(&[good.name()], "");
    scene
        .run("ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '10min'")
        .await;
    let relay = scene.start_relay();
    wait_for_none(&scene, &scene.server.url()).await;
    scene.others_find_what_they_may_see().await;

    let planted = plant(&scene).await;
    let cursors = plant_in_kafka(&scene, good.name()).await;
    let of_database = PLANTED.iter().map(|(code, _)| *code);
    let all: BTreeSet<&str> = of_database
        .chain(["long_transaction", "prepared_transaction"])
        .chain(OF_KAFKA)
        .collect();
    let findings = wait_until("the doctor to find all", PATIENCE, async || {
        let (code, findings) = scene.doctor(&scene.server.url(), &cursors, true);
        assert_eq!(code, Some(3));
        // The statistics and the dead letter come a little later.
        match codes(&findings).is_superset(&all) {
            true => Some(findings),
            false => {
                eprintln!("{:?}", codes(&findings));
                None
            }
        }
    })
    .await;
    // With that age, the relay's own transactions may be seen, too.
    assert_eq!(codes(&findings), all, "{findings:#?}");

    scene.follow_advice(&findings).await;
    drop(planted);
    wait_until("the doctor to be silent", PATIENCE, async || {
        let (_, findings) = scene.doctor(&scene.server.url(), &cursors, false);
        eprintln!("{:?}", codes(&findings));
        (codes(&findings) == BTreeSet::from(OF_KAFKA)).then_some(())
    })
    .await;
    relay.signal("TERM");
    assert_eq!(relay.ended().0, Some(0));
}

/// Plants the faults of the database. What is returned keeps a transaction open.
async fn plant(scene: &Scene) -> PgConnection {
    for (_, statement) in PLANTED {
        scene.run(statement).await;
    }
    let insert = "INSERT INTO outbox_inbox (consumer, message_id) VALUES ('doctor', 'm')";
    let mut prepared = PgConnection::connect(&scene.server.url()).await.unwrap();
    for statement in ["BEGIN", insert, "PREPARE TRANSACTION 'forgotten'"] {
        sqlx::raw_sql(statement).execute(&mut prepared).await.unwrap();
    }
    let mut open = PgConnection::connect(&scene.server.url()).await.unwrap();
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic)
                  VALUES ('order', '1', 'E', 'never')";
    for statement in ["BEGIN", insert] {
        sqlx::raw_sql(statement).execute(&mut open).await.unwrap();
    }
    open
}

/// Plants the faults of Kafka, and a message that is too large. What is returned is a wrong topic for the cursors.
async fn plant_in_kafka(scene: &Scene, good: &str) -> Topic {
    let small = Topic::create_at(&brokers(), "doctor-small", 1, &[("max.message.bytes", "20000")]).await;
    let strict = Topic::create_at(&brokers(), "doctor-strict", 1, &[("min.insync.replicas", "2")]).await;
    let unclean = [("unclean.leader.election.enable", "true")];
    let unclean = Topic::create_at(&brokers(), "doctor-unclean", 2, &unclean).await;
    let cursors = Topic::create_at(&brokers(), "doctor-cursors", 1, &[("cleanup.policy", "delete")]).await;
    let missing = format!("{good}-missing");
    let toml = format!("[topics.\"{}\"]\npartitions = 3\n", unclean.name());
    scene.wants(
        &[good, small.name(), strict.name(), unclean.name(), &missing],
        &toml,
    );
    scene
        .run(&format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('order', '1', 'E1', '{}', to_json(repeat('x', 30000)))",
            small.name()
        ))
        .await;
    cursors
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_a_finding_beside_the_others() {
    let database = outbox_tests::TestDatabase::postgres().await;
    let ran = Place::new().run(&format!(
        "doctor --json -D {} --brokers 127.0.0.1:1 --connect-timeout 2s",
        database.url()
    ));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!(
        codes(findings).contains("kafka_unreachable") && codes(findings).contains("no_relay"),
        "{report}"
    );
}
