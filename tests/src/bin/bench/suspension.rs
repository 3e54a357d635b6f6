//! One topic of five is missing: what the others lose by it, and what a relay takes to park its records, to list them
//! and to send them once it is there.

use std::process::Stdio;
use std::time::{Duration, Instant};

use outbox_tests::kafka::Topic;
use outbox_tests::{TestDatabase, program, wait_until};
use sqlx::{PgPool, Postgres};
use tokio::process::{Child, Command};
use uuid::Uuid;

/// A million records on a busy machine.
const LIMIT: Duration = Duration::from_secs(1_200);

const TOPICS: usize = 5;

struct Scene {
    database: TestDatabase<Postgres>,
    topics: Vec<Topic>,
    brokers: String,
}

pub(crate) async fn run(brokers: &str, messages: u64) {
    let scene = Scene::new(brokers).await;
    scene.create(&scene.topics[0]).await;
    scene.commit(messages).await;
    let (_relay, all_there) = scene.drain(&scene.topics, messages).await;
    println!("all five topics there:   {all_there}");

    let scene = Scene::new(brokers).await;
    let (missing, others) = scene.topics.split_first().expect("there are several");
    scene.commit(messages).await;
    let started = Instant::now();
    let (relay, four) = scene.drain(others, messages).await;
    println!("the first is missing:    {four}");
    wait_until("all of the missing topic to be parked", LIMIT, async || {
        // Only what goes on shows that it is not the broker.
        scene.commit_to(&others[0], 1).await;
        (scene.parked().await >= messages).then_some(())
    })
    .await;
    let took = started.elapsed().as_secs_f64();
    println!(
        "{messages} records are parked after {took:.0} s; {}",
        Memory::of(&relay)
    );
    scene.list().await;
    scene.create(missing).await;
    let came = Instant::now();
    wait_until("the topic to be tried again", LIMIT, async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (missing.end_offset().await > 0).then_some(())
    })
    .await;
    let tried = came.elapsed();
    wait_until("all to be sent out of the dead letters", LIMIT, async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (scene.parked().await == 0).then_some(())
    })
    .await;
    println!(
        "{} of them are delivered {:.1} s after the topic came, which the relay tried after {:.1} s; {}",
        missing.end_offset().await,
        came.elapsed().as_secs_f64(),
        tried.as_secs_f64(),
        Memory::of(&relay)
    );
}

impl Scene {
    /// A log, and five topics of which the first is not created.
    async fn new(brokers: &str) -> Self {
        let named = |_| Topic::named(brokers, &format!("suspension-{}", Uuid::new_v4().simple()), 6);
        let scene = Self {
            database: TestDatabase::postgres().await,
            topics: (0..TOPICS).map(named).collect(),
            brokers: brokers.to_owned(),
        };
        for topic in &scene.topics[1..] {
            scene.create(topic).await;
        }
        scene
    }

    async fn create(&self, topic: &Topic) {
        topic.create_again(&[]).await;
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// So many messages of 1,000 keys to each topic, in turn.
    async fn commit(&self, messages: u64) {
        let names: Vec<&str> = self.topics.iter().map(Topic::name).collect();
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', (n % 1000)::text, 'OrderPlacedV1', topic, to_json(repeat('x', 200))
             FROM generate_series(1, $1) AS n, unnest($2::text[]) AS topic",
        )
        .bind(messages as i64)
        .bind(names)
        .execute(self.pool())
        .await
        .expect("messages are committed");
    }

    async fn commit_to(&self, topic: &Topic, messages: i64) {
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', 'one', 'OrderPlacedV1', $1, '{}' FROM generate_series(1, $2)",
        )
        .bind(topic.name())
        .bind(messages)
        .execute(self.pool())
        .await
        .expect("messages are committed");
    }

    /// Starts a relay and waits until these topics have all of theirs.
    async fn drain(&self, topics: &[Topic], messages: u64) -> (Child, String) {
        let relay = self.program(&["relay", "--brokers", &self.brokers]);
        let started = Instant::now();
        for topic in topics {
            wait_until("a topic to have all", LIMIT, async || {
                tokio::time::sleep(Duration::from_millis(50)).await;
                (topic.end_offset().await as u64 >= messages).then_some(())
            })
            .await;
        }
        let took = started.elapsed().as_secs_f64();
        let each = messages as f64 / took;
        let shown = format!("{each:.0} messages/s for each topic; {}", Memory::of(&relay));
        (relay, shown)
    }

    fn program(&self, arguments: &[&str]) -> Child {
        Command::new(program())
            .args(arguments)
            .args(["--no-dotenv", "--database-url", &self.database.url()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts")
    }

    async fn parked(&self) -> u64 {
        let sql = "SELECT count(*) FROM outbox_dead_letters WHERE state = 'parked'";
        let parked: i64 = sqlx::query_scalar(sql)
            .fetch_one(self.pool())
            .await
            .expect("the dead letters can be counted");
        parked.unsigned_abs()
    }

    async fn list(&self) {
        let started = Instant::now();
        let mut list = self.program(&["dead-letters", "list", "--json"]);
        let mut memory = Memory(0);
        while list.try_wait().expect("it can be waited for").is_none() {
            memory = Memory(memory.0.max(Memory::of(&list).0));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!(
            "they are listed in {:.0} s; {memory}",
            started.elapsed().as_secs_f64()
        );
    }
}

/// The most resident memory of a process so far, in bytes.
struct Memory(u64);

impl Memory {
    fn of(process: &Child) -> Self {
        let id = process.id().unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Self(kilobytes.unwrap_or(0) * 1024)
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "at most {} MB resident", self.0 >> 20)
    }
}
