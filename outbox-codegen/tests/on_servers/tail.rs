//! `outbox tail` beside writers that commit in another order than they began.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use outbox_tests::{TestDatabase, wait_until};
use serde_json::Value;
use sqlx::{PgPool, Postgres};
use tokio::task::JoinSet;

use crate::Place;
use crate::outbox::PATIENCE;

const WRITERS: i64 = 4;
const TRANSACTIONS: i64 = 60;
const KEYS: i64 = 5;

/// One transaction: the next number of a key, under the key's lock, so that each key's numbers are in the order in which
/// they precede each other. Every third is rolled back; every fifth holds its row back while others commit.
async fn write(pool: &PgPool, key: i64, number: i64) -> bool {
    let mut tx = pool.begin().await.unwrap();
    let insert = "WITH next AS (UPDATE keys SET number = number + 1 WHERE key = $1 RETURNING number)
                  INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  SELECT CASE WHEN $1 = 0 THEN 'order' ELSE 'parcel' END, $1::text, 'T' || $1, 't', to_json(number) FROM next";
    sqlx::query(insert).bind(key).execute(&mut *tx).await.unwrap();
    if number % 5 == 0 {
        // Others take numbers and commit meanwhile: their keys are other ones.
        sqlx::query("SELECT pg_sleep(0.05)")
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    match number % 3 {
        0 => tx.rollback().await.map(|()| false).unwrap(),
        _ => tx.commit().await.map(|()| true).unwrap(),
    }
}

async fn write_all(pool: &PgPool) -> usize {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move {
            let mut committed = 0;
            for number in 0..TRANSACTIONS {
                committed += usize::from(write(&pool, (writer + number) % KEYS, number).await);
            }
            committed
        });
    }
    writers.join_all().await.into_iter().sum()
}

struct Scene {
    place: Place,
    database: TestDatabase<Postgres>,
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::postgres().await;
        let keys = format!(
            "CREATE TABLE keys (key bigint PRIMARY KEY, number bigint NOT NULL DEFAULT 0);
             INSERT INTO keys SELECT n FROM generate_series(0, {}) n",
            KEYS - 1
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(keys))
            .execute(&database.pool)
            .await
            .unwrap();
        Self {
            place: Place::new(),
            database,
        }
    }

    fn tail(&self, arguments: &str) -> std::process::Command {
        self.place
            .command(&format!("tail -D {} {arguments}", self.database.url()))
    }

    /// Without following, and of all messages unless the arguments say from where.
    #[track_caller]
    fn shown(&self, arguments: &str) -> String {
        let from = if arguments.contains("--from") {
            ""
        } else {
            "--from beginning"
        };
        let output = self
            .tail(&format!("--no-follow {from} {arguments}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn numbers(stdout: &str) -> BTreeMap<String, Vec<i64>> {
    let mut numbers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["key"].as_str().unwrap().to_owned();
        numbers
            .entry(key)
            .or_default()
            .push(line["payload"].as_i64().unwrap());
    }
    numbers
}

/// A tail that writes into files, so that it is seen what it has shown.
struct Following {
    process: Child,
    shown: PathBuf,
    said: PathBuf,
}

impl Following {
    async fn start(scene: &Scene, arguments: &str) -> Self {
        let file = |name: &str| scene.place.path().join(name);
        let (shown, said) = (file("shown"), file("said"));
        let mut tail = scene.tail(arguments);
        tail.stdout(File::create(&shown).unwrap())
            .stderr(File::create(&said).unwrap());
        let process = tail.spawn().unwrap();
        let following = Self { process, shown, said };
        following.wait_for(&following.said, "following the log").await;
        following
    }

    async fn wait_for(&self, file: &Path, words: &str) {
        wait_until("the tail to get there", PATIENCE, async || {
            fs::read_to_string(file).unwrap().contains(words).then_some(())
        })
        .await;
    }

    /// Ends it by SIGINT: the exit code and what was shown.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        let kill = Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(kill.unwrap().success());
        let status = self.process.wait().unwrap();
        (status.code(), fs::read_to_string(&self.shown).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_message_comes_once_and_those_of_a_key_in_order() {
    let scene = Scene::new().await;
    // Before it begins: not shown.
    assert!(write(&scene.database.pool, 0, 1).await);
    let tail = Following::start(&scene, "--json --interval 5ms").await;
    let committed = write_all(&scene.database.pool).await;
    // All others have ended, so it is shown last.
    let last = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                VALUES ('end', 'end', 'End', 't', '1')";
    sqlx::query(last).execute(&scene.database.pool).await.unwrap();
    tail.wait_for(&tail.shown, "\"End\"").await;
    let (code, stdout) = tail.interrupt();
    assert_eq!(code, Some(0));
    let mut shown = numbers(&stdout);
    for (key, numbers) in &shown {
        assert!(numbers.is_sorted(), "key {key}: {numbers:?}");
    }
    assert_eq!(shown.remove("end"), Some(vec![1]));
    assert_eq!(shown.values().map(Vec::len).sum::<usize>(), committed);

    let all = scene
        .tail("--json --from beginning --no-follow")
        .output()
        .unwrap();
    let mut all = numbers(&String::from_utf8(all.stdout).unwrap());
    all.remove("end");
    assert_eq!(all.get_mut("0").unwrap().remove(0), 1);
    for numbers in all.values_mut() {
        numbers.sort_unstable();
    }
    assert_eq!(shown, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_shown() {
    let scene = Scene::new().await;
    let insert = r#"INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload,
                                                 payload_binary, content_type, occurred_at)
        VALUES ('order', 'a', 'Placed', 'orders', '{"n" :
            1}', NULL, 'application/json', '2026-01-02 03:04:05Z'),
               ('order', 'b', 'Paid', 'orders', NULL, '\x00ff', 'application/x', '2026-01-02 03:04:05Z'),
               ('parcel', 'a', 'Sent', 'parcels', NULL, NULL, 'application/json', '2026-01-02 03:04:05Z')"#;
    sqlx::query(insert).execute(&scene.database.pool).await.unwrap();
    let keys = |arguments: &str| {
        let stdout = scene.shown(&format!("--json {arguments}"));
        let line = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["event_type"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        stdout.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(keys("--topic orders"), ["Placed", "Paid"]);
    assert_eq!(keys("--event-type Paid --event-type Sent"), ["Paid", "Sent"]);
    assert_eq!(keys("--key a"), ["Placed", "Sent"]);
    assert_eq!(keys("--aggregate parcel"), ["Sent"]);
    assert_eq!(keys("--key a --aggregate order -n 5"), ["Placed"]);
    assert_eq!(keys("-n 2"), ["Placed", "Paid"]);
    assert_eq!(keys("--from 3"), ["Sent"]);
    let first = serde_json::from_str::<Value>(scene.shown("--json -n 1").trim()).unwrap();
    assert_eq!(first["payload"], serde_json::json!({ "n": 1 }));
    assert_eq!(first["aggregate_type"], "order");
    assert_eq!(first["occurred_at"], "2026-01-02T03:04:05.000Z");
    assert_eq!(
        scene.shown("--key b"),
        "2026-01-02T03:04:05.000Z  2  orders  b  Paid  \\x00ff\n"
    );
    assert!(scene.shown("--topic parcels").ends_with("none (a tombstone)\n"));
    scene
        .place
        .run(&format!("tail -D {} --from soon", scene.database.url()))
        .fails(2, &["beginning", "4711"]);

    // The reader goes away: it ends at the next message.
    let mut tail = scene.tail("--from beginning --interval 5ms");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = tail
        .stdout(Stdio::from(writer))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}
