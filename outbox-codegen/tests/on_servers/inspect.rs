//! `outbox inspect` on messages in every state.

use std::process::Stdio;

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use serde_json::{Value, json};
use sqlx::{PgExecutor, Postgres};
use uuid::Uuid;

use crate::{Place, Running};

struct Scene {
    place: Place,
    database: TestDatabase<Postgres>,
    topic: Topic,
    blocking: Topic,
    /// Of a topic that is not there.
    missing: String,
}

impl Scene {
    async fn new() -> Self {
        Self {
            place: Place::new(),
            database: TestDatabase::postgres().await,
            topic: Topic::create("cli-inspect", 3).await,
            blocking: Topic::create("cli-inspect-blocking", 1).await,
            missing: format!("cli-inspect-missing-{}", Uuid::new_v4().simple()),
        }
    }

    async fn insert(&self, topic: &str, key: &str) -> Uuid {
        insert(&self.database.pool, topic, key, "{}").await
    }

    async fn too_large(&self, topic: &str, key: &str) -> Uuid {
        let payload = format!("\"{}\"", "x".repeat(2_000_000));
        insert(&self.database.pool, topic, key, &payload).await
    }

    fn deliver(&self) {
        let relay = format!(
            "relay -D {} --brokers {} --until-empty --block {}",
            self.database.url(),
            brokers(),
            self.blocking.name()
        );
        let ran = self.place.run(&relay);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    fn inspect(&self, arguments: &str) -> String {
        let ran = self
            .place
            .run(&format!("inspect {arguments} -D {}", self.database.url()));
        ran.done()
    }

    /// Without Kafka.
    fn found(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.inspect(&format!("{arguments} --json"))).unwrap()
    }

    /// With Kafka.
    fn read(&self, arguments: &str) -> Value {
        self.found(&format!("{arguments} --brokers {}", brokers()))
    }

    fn message(&self, id: Uuid) -> Value {
        let found = self.found(&id.to_string());
        assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{found}");
        found["messages"][0].clone()
    }

    /// Writes messages that end in every state. The relay runs before the last four are written.
    async fn plant(&self) -> Planted {
        let (topic, blocking) = (self.topic.name(), self.blocking.name());
        let parked = [
            self.insert(&self.missing, "p").await,
            self.insert(&self.missing, "q").await,
        ];
        let dead = [
            self.too_large(topic, "large").await,
            self.too_large(topic, "large").await,
        ];
        let blocks = self.too_large(blocking, "b").await;
        let behind = [self.insert(blocking, "b").await, self.insert(blocking, "b").await];
        let mut delivered = Vec::new();
        for key in ["a", "b", "c", "d", "e", "f"] {
            delivered.push(self.insert(topic, key).await);
        }
        self.deliver();
        let waiting = self.insert(topic, "w").await;
        let of_topic = self.insert(&self.missing, "w").await;
        let of_key = self.insert(blocking, "b").await;
        let late = self.insert(topic, "w2").await;
        Planted {
            parked,
            dead,
            blocks,
            behind,
            delivered,
            waiting,
            of_topic,
            of_key,
            late,
        }
    }

    /// The database says that they are acknowledged, Kafka says where they are.
    async fn finds_acknowledged(&self, ids: &[Uuid]) {
        let records = self.topic.read_all().await;
        for id in ids {
            let message = self.message(*id);
            assert_eq!(
                (&message["state"], &message["in_log"]),
                (&json!("acknowledged"), &json!(true))
            );
            assert_eq!(message["record"], Value::Null);
            let read = self.read(&id.to_string());
            let record = records
                .iter()
                .find(|record| record.event_id() == Some(*id))
                .unwrap();
            let found = &read["messages"][0]["record"];
            let at = json!([self.topic.name(), record.partition, record.offset]);
            assert_eq!(
                json!([found["topic"], found["partition"], found["offset"]]),
                at,
                "{read}"
            );
        }
    }

    #[track_caller]
    fn finds_dead(&self, ids: [Uuid; 2]) {
        for id in ids {
            let message = self.message(id);
            assert_eq!(
                (
                    &message["state"],
                    &message["reason"],
                    &message["replay_requested"]
                ),
                (&json!("dead"), &json!("too_large"), &json!(false)),
            );
            assert_eq!(message["timeline"][1]["what"], "set aside");
        }
    }

    #[track_caller]
    fn finds_parked(&self, planted: &Planted) {
        for id in planted.parked {
            let message = self.message(id);
            assert_eq!(message["state"], "parked");
            assert_eq!(message["waits_for"], json!(["a_relay", "its_topic"]));
        }
        for id in planted.behind {
            let message = self.message(id);
            assert_eq!(
                (&message["state"], &message["reason"]),
                (&json!("parked"), &json!("behind_dead"))
            );
            assert_eq!(message["waits_for"], json!(["a_relay", "its_key"]));
        }
    }

    #[track_caller]
    fn finds_waiting(&self, planted: &Planted) {
        let waits_for = [
            (planted.waiting, json!(["a_relay", "the_cursor"])),
            (planted.late, json!(["a_relay", "the_cursor"])),
            (planted.of_topic, json!(["a_relay", "its_topic", "the_cursor"])),
            (planted.of_key, json!(["a_relay", "its_key", "the_cursor"])),
        ];
        for (id, waits) in waits_for {
            let message = self.message(id);
            assert_eq!(
                (&message["state"], &message["waits_for"]),
                (&json!("waiting"), &waits)
            );
        }
        assert_eq!(self.message(planted.waiting)["ahead"], 0);
        assert_eq!(self.message(planted.late)["ahead"], 3);
        let text = self.inspect(&planted.waiting.to_string());
        assert!(text.contains("waiting for a relay: none is active"), "{text}");
    }

    /// The newest first.
    #[track_caller]
    fn finds_by_key(&self, newest: Uuid) {
        let by_key = self.found("--key b");
        assert_eq!(by_key["messages"].as_array().unwrap().len(), 5, "{by_key}");
        assert_eq!(by_key["messages"][0]["id"], newest.to_string());
        assert_eq!(by_key["search"]["complete"], true);
        let of_topic_only = self.found(&format!("--key b --topic {}", self.topic.name()));
        assert_eq!(
            of_topic_only["messages"].as_array().unwrap().len(),
            1,
            "{of_topic_only}"
        );
        assert_eq!(
            self.found("--key b --limit 2")["messages"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[track_caller]
    fn finds_by_correlation_id(&self, id: Uuid) {
        let correlated = self
            .place
            .command(&format!("inspect --json -D {}", self.database.url()))
            .args(["--correlation-id", "of a"])
            .output()
            .unwrap();
        let correlated: Value = serde_json::from_slice(&correlated.stdout).unwrap();
        assert_eq!(correlated["messages"][0]["id"], id.to_string(), "{correlated}");
    }

    async fn does_not_find_uncommitted(&self) {
        let mut open = self.database.pool.begin().await.unwrap();
        let uncommitted = insert(&mut *open, self.topic.name(), "u", "{}").await;
        let unknown = self.found(&uncommitted.to_string());
        assert_eq!(
            (&unknown["messages"], &unknown["search"]["complete"]),
            (&json!([]), &json!(true))
        );
        assert!(unknown["search"]["open_writers"][0]["pid"].is_i64(), "{unknown}");
        let text = self.inspect(&uncommitted.to_string());
        assert!(text.contains("may be in an open transaction"), "{text}");
        open.rollback().await.unwrap();
    }

    #[track_caller]
    fn does_not_find_unwritten_or_unscanned(&self, early: Uuid) {
        let never = self.found(&Uuid::now_v7().to_string());
        assert_eq!(
            (&never["messages"], &never["search"]["open_writers"]),
            (&json!([]), &json!([]))
        );
        let bounded = self.found(&format!("{early} --scan 2"));
        assert_eq!(
            (&bounded["messages"], &bounded["search"]["complete"]),
            (&json!([]), &json!(false))
        );
    }
}

/// The ids of the messages that `Scene::plant` writes.
struct Planted {
    parked: [Uuid; 2],
    dead: [Uuid; 2],
    /// Dead, in the topic where a dead message blocks its key.
    blocks: Uuid,
    /// Of the key that it blocks.
    behind: [Uuid; 2],
    delivered: Vec<Uuid>,
    /// Written after the delivery, as are the next three.
    waiting: Uuid,
    of_topic: Uuid,
    of_key: Uuid,
    late: Uuid,
}

async fn insert(executor: impl PgExecutor<'_>, topic: &str, key: &str, payload: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO outbox_messages (id, aggregate_type, aggregate_id, event_type, topic, payload, headers)
         VALUES ($1, 'order', $2, 'OrderPlacedV1', $3, $4::json, jsonb_build_object('ce_correlationid', 'of ' || $2))",
    )
    .bind(id)
    .bind(key)
    .bind(topic)
    .bind(payload)
    .execute(executor)
    .await
    .unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_messages_are_found_where_they_are() {
    let scene = Scene::new().await;
    let topic = scene.topic.name();
    scene
        .execute("CREATE TABLE earlier AS SELECT from_snapshot, high, xid_bound FROM outbox_cursor")
        .await;
    let planted = scene.plant().await;
    let delivered = &planted.delivered;
    scene.finds_acknowledged(delivered).await;
    scene.finds_dead(planted.dead);
    scene
        .execute(
            "UPDATE outbox_dead_letters SET replay_requested_at = now()
             WHERE aggregate_id = 'b' AND state = 'dead'",
        )
        .await;
    assert_eq!(scene.message(planted.blocks)["replay_requested"], true);
    scene.finds_parked(&planted);
    scene.finds_waiting(&planted);
    scene.finds_by_key(planted.of_key);
    scene.finds_by_correlation_id(delivered[0]);
    scene.does_not_find_uncommitted().await;
    scene.does_not_find_unwritten_or_unscanned(delivered[0]);

    // The cursor of before the delivery: what Kafka has is acknowledged all the same.
    scene
        .execute(
            "UPDATE outbox_cursor c SET from_snapshot = e.from_snapshot, high = e.high, xid_bound = e.xid_bound,
                    to_snapshot = NULL, high_to = NULL, position = NULL FROM earlier e",
        )
        .await;
    assert_eq!(scene.message(delivered[1])["state"], "waiting");
    assert_eq!(
        scene.read(&delivered[1].to_string())["messages"][0]["state"],
        "acknowledged"
    );
    assert_eq!(
        scene.read(&planted.waiting.to_string())["messages"][0]["state"],
        "waiting"
    );

    // Pruned: only Kafka knows it.
    sqlx::query("DELETE FROM outbox_messages WHERE id = $1")
        .bind(delivered[0])
        .execute(&scene.database.pool)
        .await
        .unwrap();
    assert_eq!(scene.found(&delivered[0].to_string())["messages"], json!([]));
    let pruned = scene.read(&format!("{} --topic {topic}", delivered[0]));
    assert_eq!(pruned["messages"][0]["state"], "pruned", "{pruned}");
    assert!(pruned["messages"][0]["record"]["offset"].is_i64(), "{pruned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_relay_is_shown_and_an_unavailable_kafka_ends_with_4_after_the_answer() {
    let scene = Scene::new().await;
    let relay = format!("relay -D {} --brokers {}", scene.database.url(), brokers());
    let mut relay = Running::start(scene.place.command(&relay));
    relay.says("the active one");
    let id = scene.insert(&scene.missing, "k").await;
    let found = scene.found(&id.to_string());
    assert!(found["search"]["relay"]["holder"].is_string(), "{found}");
    let waits_for = found["messages"][0]["waits_for"].to_string();
    assert!(!waits_for.contains("a_relay"), "{found}");
    relay.signal("TERM");
    assert_eq!(relay.ended().0, Some(0));
    let away = format!(
        "inspect {id} -D {} --brokers 127.0.0.1:1 --connect-timeout 1s",
        scene.database.url()
    );
    let away = scene
        .place
        .command(&away)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(away.status.code(), Some(4), "{away:?}");
    assert!(
        String::from_utf8_lossy(&away.stdout).contains(&id.to_string()),
        "{away:?}"
    );
    scene
        .place
        .run(&format!("inspect -D {}", scene.database.url()))
        .fails(2, &["--key", "--correlation-id"]);
}
