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
    let (topic, blocking) = (scene.topic.name(), scene.blocking.name());
    scene
        .execute("CREATE TABLE earlier AS SELECT from_snapshot, high, xid_bound FROM outbox_cursor")
        .await;
    let parked = [
        scene.insert(&scene.missing, "p").await,
        scene.insert(&scene.missing, "q").await,
    ];
    let dead = [
        scene.too_large(topic, "large").await,
        scene.too_large(topic, "large").await,
    ];
    let blocks = scene.too_large(blocking, "b").await;
    let behind = [
        scene.insert(blocking, "b").await,
        scene.insert(blocking, "b").await,
    ];
    let mut delivered = Vec::new();
    for key in ["a", "b", "c", "d", "e", "f"] {
        delivered.push(scene.insert(topic, key).await);
    }
    scene.deliver();
    let waiting = scene.insert(topic, "w").await;
    let of_topic = scene.insert(&scene.missing, "w").await;
    let of_key = scene.insert(blocking, "b").await;
    let late = scene.insert(topic, "w2").await;

    // Acknowledged: the database says it, Kafka where.
    let records = scene.topic.read_all().await;
    for id in &delivered {
        let message = scene.message(*id);
        assert_eq!(
            (&message["state"], &message["in_log"]),
            (&json!("acknowledged"), &json!(true))
        );
        assert_eq!(message["record"], Value::Null);
        let read = scene.read(&id.to_string());
        let record = records
            .iter()
            .find(|record| record.event_id() == Some(*id))
            .unwrap();
        let found = &read["messages"][0]["record"];
        let at = json!([topic, record.partition, record.offset]);
        assert_eq!(
            json!([found["topic"], found["partition"], found["offset"]]),
            at,
            "{read}"
        );
    }
    for id in dead {
        let message = scene.message(id);
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
    scene
        .execute("UPDATE outbox_dead_letters SET replay_requested_at = now() WHERE aggregate_id = 'b' AND state = 'dead'")
        .await;
    assert_eq!(scene.message(blocks)["replay_requested"], true);
    for id in parked {
        let message = scene.message(id);
        assert_eq!(message["state"], "parked");
        assert_eq!(message["waits_for"], json!(["a_relay", "its_topic"]));
    }
    for id in behind {
        let message = scene.message(id);
        assert_eq!(
            (&message["state"], &message["reason"]),
            (&json!("parked"), &json!("behind_dead"))
        );
        assert_eq!(message["waits_for"], json!(["a_relay", "its_key"]));
    }
    let waits_for = [
        (waiting, json!(["a_relay", "the_cursor"])),
        (late, json!(["a_relay", "the_cursor"])),
        (of_topic, json!(["a_relay", "its_topic", "the_cursor"])),
        (of_key, json!(["a_relay", "its_key", "the_cursor"])),
    ];
    for (id, waits) in waits_for {
        let message = scene.message(id);
        assert_eq!(
            (&message["state"], &message["waits_for"]),
            (&json!("waiting"), &waits)
        );
    }
    assert_eq!(scene.message(waiting)["ahead"], 0);
    assert_eq!(scene.message(late)["ahead"], 3);
    let text = scene.inspect(&waiting.to_string());
    assert!(text.contains("waiting for a relay: none is active"), "{text}");

    // By key and by correlation id, the newest first.
    let by_key = scene.found("--key b");
    assert_eq!(by_key["messages"].as_array().unwrap().len(), 5, "{by_key}");
    assert_eq!(by_key["messages"][0]["id"], of_key.to_string());
    assert_eq!(by_key["search"]["complete"], true);
    let of_topic_only = scene.found(&format!("--key b --topic {topic}"));
    assert_eq!(
        of_topic_only["messages"].as_array().unwrap().len(),
        1,
        "{of_topic_only}"
    );
    assert_eq!(
        scene.found("--key b --limit 2")["messages"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let correlated = scene
        .place
        .command(&format!("inspect --json -D {}", scene.database.url()))
        .args(["--correlation-id", "of a"])
        .output()
        .unwrap();
    let correlated: Value = serde_json::from_slice(&correlated.stdout).unwrap();
    assert_eq!(
        correlated["messages"][0]["id"],
        delivered[0].to_string(),
        "{correlated}"
    );

    // Not committed yet, or never written.
    let mut open = scene.database.pool.begin().await.unwrap();
    let uncommitted = insert(&mut *open, topic, "u", "{}").await;
    let unknown = scene.found(&uncommitted.to_string());
    assert_eq!(
        (&unknown["messages"], &unknown["search"]["complete"]),
        (&json!([]), &json!(true))
    );
    assert!(unknown["search"]["open_writers"][0]["pid"].is_i64(), "{unknown}");
    let text = scene.inspect(&uncommitted.to_string());
    assert!(text.contains("may be in an open transaction"), "{text}");
    open.rollback().await.unwrap();
    let never = scene.found(&Uuid::now_v7().to_string());
    assert_eq!(
        (&never["messages"], &never["search"]["open_writers"]),
        (&json!([]), &json!([]))
    );
    let bounded = scene.found(&format!("{} --scan 2", delivered[0]));
    assert_eq!(
        (&bounded["messages"], &bounded["search"]["complete"]),
        (&json!([]), &json!(false))
    );

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
        scene.read(&waiting.to_string())["messages"][0]["state"],
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
