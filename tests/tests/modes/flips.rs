//! Three replicas under load, while the mode is switched back and forth, one of them is paused and one is killed: keys keep
//! their order, nothing comes twice, and nothing is lost but what the killed one had not sent.
//!
//! `OUTBOX_TEST_FLIPS=100` for a long run.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use outbox_runtime::modes::{Mode, ModeScope};
use outbox_runtime::store::{SwitchError, SwitchRefusal};
use outbox_runtime::{DeliveryMode, KafkaPublisher, PostgresStore, Relay, RelayConfig};
use outbox_tests::kafka::Topic;
use outbox_tests::{program, servers, wait_until};
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::scene::{LIMIT, Scene};

const WORKERS: u32 = 4;
const KEYS: u32 = 20;

struct Replica {
    name: String,
    process: Child,
}

impl Replica {
    fn start(scene: &Scene, topic: &Topic, name: &str) -> Self {
        Self::start_with(scene, topic, name, None)
    }

    fn start_with(scene: &Scene, topic: &Topic, name: &str, failpoint: Option<&str>) -> Self {
        let mut command = Command::new(program().with_file_name("replica"));
        command
            .args([&scene.database.url(), &servers::brokers(), topic.name(), name])
            .args([WORKERS.to_string(), KEYS.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(failpoint) = failpoint {
            command.env("OUTBOX_FAILPOINT", failpoint);
        }
        Self {
            name: name.to_owned(),
            process: command.spawn().expect("the replica starts"),
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        kill_process(id.and_then(Pid::from_raw).expect("it runs"), signal).unwrap();
    }

    async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(LIMIT, self.process.wait()).await;
        assert!(ended.expect("the replica ends").unwrap().success());
    }
}

/// Three replicas, each of which has begun to write.
async fn start_three(scene: &Scene, topic: &Topic) -> Vec<Replica> {
    let replicas: Vec<_> = ["one", "two", "three"]
        .map(|name| Replica::start(scene, topic, name))
        .into();
    for replica in &replicas {
        wait_until("each replica to write", LIMIT, async || {
            (written_by(scene, &replica.name).await > 0).then_some(())
        })
        .await;
    }
    replicas
}

async fn tables(scene: &Scene) {
    sqlx::raw_sql(
        "CREATE TABLE counters (key bigint PRIMARY KEY, number bigint NOT NULL DEFAULT 0);
         CREATE TABLE ledger (id uuid PRIMARY KEY, key bigint NOT NULL, number bigint NOT NULL, replica text NOT NULL)",
    )
    .execute(scene.pool())
    .await
    .unwrap();
    sqlx::query("INSERT INTO counters (key) SELECT generate_series(0, $1 - 1)")
        .bind(i64::from(KEYS))
        .execute(scene.pool())
        .await
        .unwrap();
}

async fn written_by(scene: &Scene, replica: &str) -> i64 {
    scene.count(&format!("ledger WHERE replica = '{replica}'")).await
}

/// The sessions of a replica whose open transactions hold its modes.
async fn holding(scene: &Scene, replica: &str) -> BTreeSet<i32> {
    let pids: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND classid = 'outbox_modes'::regclass AND mode = 'ShareLock' AND granted
           AND datname = current_database() AND state = 'idle in transaction' AND application_name = $1",
    )
    .bind(replica)
    .fetch_all(scene.pool())
    .await
    .unwrap();
    pids.into_iter().collect()
}

/// Switches while a replica is paused. If one of its transactions is open all the time, the switch is refused and names it;
/// on a busy machine, transactions of the others may refuse it too.
async fn switch_while_paused(
    scene: &Scene,
    scope: &ModeScope,
    mode: Mode,
    paused: &str,
) -> Option<SwitchRefusal> {
    let before = holding(scene, paused).await;
    let switched = scene
        .set_within(scope.clone(), Some(mode), Duration::from_secs(2))
        .await;
    let after = holding(scene, paused).await;
    let open: Vec<i32> = before.intersection(&after).copied().collect();
    match switched {
        Ok(_) => {
            assert!(open.is_empty(), "{open:?} wrote events during the switch");
            None
        }
        Err(SwitchError::Refused(refusal)) => {
            let (SwitchRefusal::Writers(holders) | SwitchRefusal::Sending(holders)) = &refusal else {
                panic!("{refusal:?}");
            };
            let named = |pid: &i32| holders.iter().any(|holder| holder.pid == *pid);
            assert!(
                open.iter().all(named),
                "{refusal:?} does not name all of {open:?}"
            );
            Some(refusal)
        }
        Err(error) => panic!("{error}"),
    }
}

/// What was committed, what arrived, and what did not.
#[derive(Debug)]
struct Verdict {
    committed: usize,
    through_the_log: usize,
    /// By the replica that had written it.
    lost: BTreeMap<String, usize>,
}

impl Verdict {
    #[track_caller]
    fn assert_only_the_killed_one_lost(&self) {
        let others: Vec<_> = self.lost.keys().filter(|replica| *replica != "two").collect();
        assert!(others.is_empty(), "only the killed replica may lose: {self:?}");
        let lost = self.lost.get("two").copied().unwrap_or(0);
        assert!(lost <= WORKERS as usize, "one of each worker: {self:?}");
    }
}

async fn verdict(scene: &Scene, topic: &Topic) -> Verdict {
    let ledger: Vec<(Uuid, i64, i64, String, bool)> = sqlx::query_as(
        "SELECT l.id, l.key, l.number, l.replica, EXISTS (SELECT FROM outbox_messages m WHERE m.id = l.id)
         FROM ledger l ORDER BY l.key, l.number",
    )
    .fetch_all(scene.pool())
    .await
    .unwrap();
    let records = topic.read_all().await;
    let mut arrived: BTreeSet<Uuid> = BTreeSet::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for record in &records {
        let id = record.event_id().unwrap();
        assert!(arrived.insert(id), "{id} came twice");
        let number: i64 = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let key = record.key_text().unwrap().to_owned();
        let before = last.insert(key.clone(), number).unwrap_or(0);
        assert!(before < number, "{key}: {number} came after {before}");
    }
    let committed: BTreeSet<Uuid> = ledger.iter().map(|(id, ..)| *id).collect();
    assert!(arrived.is_subset(&committed), "what was never committed came");
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    for (id, key, number, replica, in_log) in &ledger {
        if !arrived.contains(id) {
            assert!(!in_log, "{number} of key-{key} is in the log and did not arrive");
            *lost.entry(replica.clone()).or_default() += 1;
        }
    }
    Verdict {
        committed: ledger.len(),
        through_the_log: ledger.iter().filter(|(.., in_log)| *in_log).count(),
        lost,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_over_switches_pauses_and_kills() {
    switch_back_and_forth(DeliveryMode::AtLeastOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_over_switches_beside_exactly_once_delivery() {
    switch_back_and_forth(DeliveryMode::ExactlyOnce).await;
}

async fn switch_back_and_forth(delivery: DeliveryMode) {
    let flips: u32 = std::env::var("OUTBOX_TEST_FLIPS").map_or(10, |flips| flips.parse().unwrap());
    let scene = Scene::new().await;
    let topic = Topic::create("flips", 3).await;
    tables(&scene).await;
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let relay = Relay::builder(PostgresStore::new(scene.pool()), publisher)
        .config(RelayConfig::new().delivery(delivery))
        .build()
        .unwrap()
        .spawn();
    let mut replicas = start_three(&scene, &topic).await;
    let mut refusals = Vec::new();
    let mut longest = Duration::ZERO;
    let scope = ModeScope::Topic(topic.name().to_owned());
    for flip in 0..flips {
        let mode = if flip % 2 == 0 { Mode::Direct } else { Mode::Outbox };
        let before = scene.count("ledger").await;
        wait_until("some events between two switches", LIMIT, async || {
            (scene.count("ledger").await > before + 30).then_some(())
        })
        .await;
        if flip == flips / 3 {
            replicas[0].signal(Signal::STOP);
            refusals.extend(switch_while_paused(&scene, &scope, mode, &replicas[0].name).await);
            replicas[0].signal(Signal::CONT);
        }
        if flip == flips * 2 / 3 {
            let mut killed = replicas.remove(1);
            let wait = rand::rng().random_range(0..40);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            killed.process.kill().await.unwrap();
            replicas.push(Replica::start(&scene, &topic, "four"));
        }
        let begun = Instant::now();
        scene
            .set_within(scope.clone(), Some(mode), LIMIT)
            .await
            .unwrap_or_else(|error| panic!("switch {flip}: {error}"));
        longest = longest.max(begun.elapsed());
    }
    for replica in replicas {
        replica.stop().await;
    }
    scene.set(scope, Some(Mode::Direct)).await.unwrap();
    relay.stop().await.unwrap();
    let verdict = verdict(&scene, &topic).await;
    eprintln!(
        "{flips} switches, the longest {longest:?}: {verdict:?}; refused while a replica was paused: {refusals:?}"
    );
    verdict.assert_only_the_killed_one_lost();
    assert!(
        verdict.through_the_log > 0 && verdict.through_the_log < verdict.committed,
        "{verdict:?}"
    );
}

/// The window in which mode `direct` loses an event: between its commit and its sending.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_had_committed_and_not_sent_is_lost_with_it() {
    let scene = Scene::new().await;
    let topic = Topic::create("window", 3).await;
    tables(&scene).await;
    let scope = ModeScope::Topic(topic.name().to_owned());
    scene.set(scope.clone(), Some(Mode::Direct)).await.unwrap();
    let mut dying = Replica::start_with(&scene, &topic, "dying", Some("direct_committed=kill:20"));
    let ended = tokio::time::timeout(LIMIT, dying.process.wait()).await;
    assert_eq!(ended.expect("it dies").unwrap().code(), None);
    // Its sessions end, and with them its locks.
    assert!(scene.set(scope, Some(Mode::Outbox)).await.unwrap());
    let verdict = verdict(&scene, &topic).await;
    let lost = verdict.lost.get("dying").copied().unwrap_or(0);
    assert!((1..=WORKERS as usize).contains(&lost), "{verdict:?}");
    assert!(
        verdict.committed - lost > 0 && verdict.through_the_log == 0,
        "{verdict:?}"
    );
}
