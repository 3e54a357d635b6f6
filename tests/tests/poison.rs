//! Records that take the relay's process down are found; and good ones are not, whoever kills relays when.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, KafkaServer};
use outbox_tests::{TestDatabase, program, wait_until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Postgres;
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_secs(120);

struct Scene {
    database: TestDatabase<Postgres>,
    brokers: String,
    topic: Topic,
}

impl Scene {
    async fn at(brokers: &str) -> Self {
        Self {
            database: TestDatabase::postgres().await,
            brokers: brokers.to_owned(),
            topic: Topic::create_at(brokers, "poison", 3, &[]).await,
        }
    }

    /// One event of each key.
    async fn commit(&self, keys: &[String]) {
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', key, 'OrderPlacedV1', $1, '1' FROM unnest($2::text[]) AS key",
        )
        .bind(self.topic.name())
        .bind(keys)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }

    /// A relay whose lease is soon another's when it dies.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_with_lease("400ms", arguments)
    }

    fn command_with_lease(&self, duration: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(["relay", "--no-dotenv", "--lease-ttl", duration])
            .args(["--database-url", &self.database.url(), "--brokers", &self.brokers])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Lets relays run until one has delivered everything, and says how many died before.
    async fn supervise(&self, poison: &str) -> usize {
        let started = Instant::now();
        let mut deaths = 0;
        loop {
            let mut relay = self.command(&["--until-empty"]);
            let ended: ExitStatus = relay.env("OUTBOX_POISON", poison).status().await.unwrap();
            if ended.success() {
                return deaths;
            }
            deaths += 1;
            assert!(started.elapsed() < LIMIT, "it still dies after {deaths} deaths");
        }
    }

    async fn dead_letters(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("SELECT aggregate_id, state, reason FROM outbox_dead_letters ORDER BY position")
            .fetch_all(&self.database.pool)
            .await
            .unwrap()
    }

    async fn suspicion(&self) -> (i64, Option<i64>) {
        sqlx::query_as("SELECT unended_terms, suspect_seq FROM outbox_lease")
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// How many terms there were.
    async fn terms(&self) -> i64 {
        sqlx::query_scalar("SELECT epoch FROM outbox_lease")
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    async fn delivered(&self) -> Vec<String> {
        let records = self.topic.read_all().await;
        let mut keys: Vec<String> = records
            .iter()
            .map(|record| record.key_text().unwrap().to_owned())
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

fn keys(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("k{number:04}")).collect()
}

fn signal(relay: &Child, signal: Signal) {
    let id = relay
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    kill_process(id.expect("the relay runs"), signal).expect("it can be signalled");
}

/// Wherever it lies: in the midst of others, or first of all.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_takes_the_process_down_is_found() {
    for (before, behind) in [(60, 60), (0, 5)] {
        let scene = Scene::at(&servers::brokers()).await;
        let (first, last) = (keys(0..before), keys(before..before + behind));
        scene.commit(&first).await;
        scene.commit(&["poison".to_owned()]).await;
        scene.commit(&last).await;
        let deaths = scene.supervise("poison").await;
        let expected = (
            "poison".to_owned(),
            "dead".to_owned(),
            "takes_the_process_down".to_owned(),
        );
        assert_eq!(scene.dead_letters().await, [expected]);
        assert_eq!(scene.delivered().await, keys(0..before + behind));
        assert!((4..=12).contains(&deaths), "it took {deaths} deaths");
        assert_eq!(scene.suspicion().await, (0, None));
    }
}

/// A record is only found guilty beside one that goes through: alone in its log it is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_alone_is_not_condemned() {
    let scene = Scene::at(&servers::brokers()).await;
    scene.commit(&["poison".to_owned()]).await;
    for _ in 0..9 {
        let mut relay = scene.command(&["--until-empty"]);
        let ended = relay.env("OUTBOX_POISON", "poison").status().await.unwrap();
        assert!(!ended.success());
    }
    assert!(scene.dead_letters().await.is_empty());
    scene.supervise("").await;
    assert_eq!(scene.delivered().await, ["poison"]);
}

/// Kills from outside, at any time, while the broker is there and while it is away.
#[tokio::test(flavor = "multi_thread")]
async fn kills_from_outside_condemn_nothing() {
    let seed = std::env::var("OUTBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("poison: OUTBOX_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut kafka = KafkaServer::start().await;
    let scene = Scene::at(&kafka.brokers()).await;
    let mut committed = 0;
    let mut careful = 0;
    for round in 0..24 {
        scene.commit(&keys(committed..committed + 20)).await;
        committed += 20;
        match round {
            8 => kafka.kill(),
            16 => kafka.restart().await,
            _ => {}
        }
        let terms = scene.terms().await;
        let mut relay = scene.command(&[]).spawn().unwrap();
        wait_until("the relay to be the active one", LIMIT, async || {
            (scene.terms().await > terms).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        relay.kill().await.unwrap();
        careful += usize::from(scene.suspicion().await.0 >= 3);
    }
    assert!(scene.dead_letters().await.is_empty(), "seed {seed}");
    assert!(careful > 0, "nothing was ever suspected, seed {seed}");
    scene.supervise("").await;
    assert!(scene.dead_letters().await.is_empty(), "seed {seed}");
    assert_eq!(scene.delivered().await, keys(0..committed));
}

/// Deployments one after the other while the broker is away are no crashes.
#[tokio::test(flavor = "multi_thread")]
async fn stops_in_order_raise_no_suspicion() {
    let mut kafka = KafkaServer::start().await;
    let scene = Scene::at(&kafka.brokers()).await;
    scene.commit(&keys(0..20)).await;
    kafka.kill();
    for _ in 0..4 {
        // Each gives its lease back, so the next one need not wait for its end.
        let arguments = ["--shutdown-timeout", "100ms"];
        let mut relay = scene.command_with_lease("30s", &arguments).spawn().unwrap();
        wait_until("the relay to be the active one", LIMIT, async || {
            (scene.suspicion().await.0 > 0).then_some(())
        })
        .await;
        signal(&relay, Signal::TERM);
        let ended = tokio::time::timeout(LIMIT, relay.wait()).await;
        assert!(ended.expect("the relay ends").unwrap().success());
        assert_eq!(scene.suspicion().await, (0, None));
    }
    kafka.restart().await;
    scene.supervise("").await;
    assert!(scene.dead_letters().await.is_empty());
    assert_eq!(scene.delivered().await, keys(0..20));
}
