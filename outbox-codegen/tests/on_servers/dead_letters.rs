//! `outbox dead-letters` on PostgreSQL, with a relay to Kafka.

use std::collections::HashSet;
use std::time::Duration;

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use serde_json::Value;
use sqlx::{PgPool, Postgres};

use crate::{Place, Running};

struct Scene {
    place: Place,
    database: TestDatabase<Postgres>,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        Self {
            place: Place::new(),
            database: TestDatabase::postgres().await,
            topic: Topic::create("cli-dead-letters", 3).await,
        }
    }

    /// Messages of seven keys that no retry could cure.
    async fn dead(&self, messages: i64) {
        dead_letter(&self.database.pool, self.topic.name(), messages).await;
    }

    fn dead_letters(&self, arguments: &str) -> crate::outbox::Ran {
        self.place
            .run(&format!("dead-letters {arguments} -D {}", self.database.url()))
    }

    fn relay(&self, arguments: &str) -> std::process::Command {
        let relay = format!(
            "relay -D {} --brokers {} --lease-ttl 1s {arguments}",
            self.database.url(),
            brokers()
        );
        self.place.command(&relay)
    }

    fn listed(&self) -> Vec<Value> {
        serde_json::from_str(&self.dead_letters("list --json").done()).unwrap()
    }
}

async fn dead_letter(pool: &PgPool, topic: &str, messages: i64) {
    sqlx::query(
        "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, payload, content_type,
                                          occurred_at, state, reason, error)
         SELECT gen_random_uuid(), n, 'order', (n % 7)::text, 'OrderPlacedV1', $1, to_json(n), 'application/json', now(),
                'dead', 'too_large', 'too large' FROM generate_series(1, $2) AS n ORDER BY n",
    )
    .bind(topic)
    .bind(messages)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_in_order_what_can_be_sent_and_keeps_what_cannot() {
    let scene = Scene::new().await;
    scene.dead(1_000).await;
    let large = "UPDATE outbox_dead_letters SET payload = to_json(repeat('x', 2000000)) WHERE seq = 500";
    sqlx::query(large).execute(&scene.database.pool).await.unwrap();
    let mut relay = Running::start(scene.relay(""));
    relay.says("the active one");
    let dry = scene.dead_letters("replay --all --dry-run").done();
    assert_eq!(dry, "1000 messages would be sent again\n");
    let replay = scene.dead_letters("replay --key 3 --wait");
    // 500 is of the key 3.
    assert_eq!(
        (replay.code, replay.stdout.as_str()),
        (Some(1), "142 messages were delivered\n")
    );
    assert!(replay.stderr.contains("1 of 143"), "{}", replay.stderr);
    let dead_letters = scene.listed();
    let again = dead_letters.iter().find(|letter| letter["seq"] == 500).unwrap();
    assert_eq!(
        (&again["attempts"], &again["reason"]),
        (&Value::from(2), &Value::from("too_large"))
    );
    assert_ne!(again["first_failed_at"], again["last_failed_at"]);
    let id = again["id"].as_str().unwrap();
    assert_eq!(
        scene.dead_letters(&format!("discard {id}")).done(),
        "1 messages were discarded\n"
    );
    let rest = scene.dead_letters("replay --all --wait --json").done();
    assert_eq!(rest, "{\"replayed\":857}\n");
    assert!(scene.listed().is_empty());
    let records = scene.topic.read_all().await;
    for key in 0..7 {
        let key = key.to_string();
        let of_key = records.iter().filter(|record| record.key_text() == Some(&key));
        let numbers: Vec<i64> = of_key
            .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
            .collect();
        let all = (1..=1_000).filter(|n| (n % 7).to_string() == key && *n != 500);
        assert_eq!(numbers, all.collect::<Vec<i64>>(), "key {key}");
    }
    relay.signal("TERM");
    assert_eq!(relay.ended().0, Some(0));
}

/// The relay is killed again and again while it replays: everything arrives, and is reported as delivered only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_whole_through_crashes() {
    let scene = Scene::new().await;
    const MESSAGES: i64 = 20_000;
    scene.dead(MESSAGES).await;
    assert_eq!(
        scene.dead_letters("replay --all").done(),
        format!("{MESSAGES} messages will be sent again by the active relay\n")
    );
    let mut kills = 0;
    let left = async || {
        let sql = "SELECT count(*) FROM outbox_dead_letters";
        sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&scene.database.pool)
            .await
            .unwrap()
    };
    let mut before = MESSAGES;
    while kills < 12 && before > 0 {
        let mut relay = scene
            .relay("")
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Until it has done something, and then at any step.
        outbox_tests::wait_until("some to be delivered", Duration::from_secs(60), async || {
            (left().await < before).then_some(())
        })
        .await;
        std::thread::sleep(Duration::from_millis(kills * 7 % 30));
        relay.kill().unwrap();
        relay.wait().unwrap();
        kills += 1;
        before = left().await;
    }
    let ended = scene.relay("--until-empty").output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(left().await, 0);
    let records = scene.topic.read_all().await;
    let numbers = records
        .iter()
        .map(|record| serde_json::from_slice::<i64>(record.value.as_deref().unwrap()).unwrap());
    let numbers: HashSet<i64> = numbers.collect();
    assert_eq!(numbers.len() as i64, MESSAGES, "after {kills} kills");
}
