//! Topics that block: a key whose record is dead waits behind it, and everything of a key stays in order, replays too.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use outbox_runtime::publisher::PublishErrorKind;
use outbox_runtime::store::{DeadLetterFilter, DeadLetterState, DeadLetters};
use outbox_runtime::{RelayConfig, RelayWaker, RunningRelay, Tables};
use outbox_tests::wait_until;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::{LIMIT, Scene, quick};

const DEAD: PublishErrorKind = PublishErrorKind::Record("too_large");

fn config() -> RelayConfig {
    quick()
        .block(vec!["orders".to_owned()])
        .suspend_after(Duration::from_millis(30))
        // Longer than anything here takes, so that no outcome is unknown after a stop.
        .shutdown_timeout(LIMIT)
        .page_rows(20)
}

fn start(scene: &Scene) -> RunningRelay {
    scene.relay_with(config(), RelayWaker::new()).spawn()
}

fn dead_letters(scene: &Scene) -> DeadLetters {
    DeadLetters::in_sqlite(&scene.database.pool, &Tables::default())
}

/// One event of each of these keys, in one transaction.
async fn commit(scene: &Scene, topic: &str, keys: &[&str]) -> Vec<Uuid> {
    let mut transaction = scene.database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut ids = Vec::new();
    for key in keys {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO outbox_messages (id, aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ($1, 'order', $2, 'OrderPlacedV1', $3, '{}')",
        )
        .bind(id.to_string())
        .bind(key)
        .bind(topic)
        .execute(&mut *transaction)
        .await
        .unwrap();
        ids.push(id);
    }
    transaction.commit().await.unwrap();
    ids
}

fn of_key(scene: &Scene, key: &str) -> Vec<Uuid> {
    let log = scene.broker.log().into_iter();
    log.filter(|record| record.key == key)
        .map(|record| record.id)
        .collect()
}

async fn until_key_has(scene: &Scene, key: &str, ids: &[Uuid]) {
    wait_until(&format!("{key} to have all"), LIMIT, async || {
        (of_key(scene, key).len() >= ids.len()).then_some(())
    })
    .await;
    assert_eq!(of_key(scene, key), ids, "{key}");
}

async fn until_settled(scene: &Scene, count: usize) {
    wait_until("the cursor to pass all", LIMIT, async || {
        (scene.count("high FROM outbox_cursor").await == count as i64).then_some(())
    })
    .await;
}

async fn listed(scene: &Scene) -> Vec<(String, String, String, String)> {
    sqlx::query_as("SELECT id, state, reason, error FROM outbox_dead_letters ORDER BY position")
        .fetch_all(&scene.database.pool)
        .await
        .unwrap()
}

async fn replay(scene: &Scene, id: Uuid) {
    let filter = DeadLetterFilter {
        ids: vec![id],
        ..DeadLetterFilter::default()
    };
    assert_eq!(dead_letters(scene).request_replay(&filter).await.unwrap(), 1);
}

/// A record of `a` is dead: what follows it waits, other keys and topics do not.
async fn blocked(scene: &Scene) -> (Uuid, Vec<Uuid>) {
    let first = commit(scene, "orders", &["a", "b", "a", "a", "b"]).await;
    scene.broker.fail(first[2], DEAD);
    let relay = start(scene);
    until_settled(scene, 5).await;
    let second = commit(scene, "orders", &["a", "b", "a"]).await;
    let third = commit(scene, "invoices", &["c"]).await;
    until_settled(scene, 9).await;
    relay.stop().await.unwrap();
    assert_eq!(of_key(scene, "a"), [first[0]]);
    assert_eq!(of_key(scene, "b"), [first[1], first[4], second[1]]);
    assert_eq!(of_key(scene, "c"), third);
    (first[2], vec![first[0], first[2], first[3], second[0], second[2]])
}

#[tokio::test]
async fn a_dead_record_holds_up_its_key_alone() {
    let scene = Scene::new().await;
    let (dead, of_a) = blocked(&scene).await;
    let dead_letters = listed(&scene).await;
    let ids: Vec<Uuid> = dead_letters
        .iter()
        .map(|dead_letter| dead_letter.0.parse().unwrap())
        .collect();
    assert_eq!(ids, of_a[1..]);
    assert_eq!(
        (dead_letters[0].1.as_str(), dead_letters[0].2.as_str()),
        ("dead", "too_large")
    );
    for (_, state, reason, error) in &dead_letters[1..] {
        assert_eq!((state.as_str(), reason.as_str()), ("parked", "behind_dead"));
        assert!(error.contains(&dead.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_replay_sends_it_and_then_what_waits_behind_it() {
    let scene = Scene::new().await;
    let (dead, mut of_a) = blocked(&scene).await;
    let relay = start(&scene);
    replay(&scene, dead).await;
    // New ones go behind those that wait.
    for _ in 0..50 {
        of_a.extend(commit(&scene, "orders", &["a"]).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until_key_has(&scene, "a", &of_a).await;
    wait_until("nothing to be left", LIMIT, async || {
        listed(&scene).await.is_empty().then_some(())
    })
    .await;
    // And then it is a key like any other.
    let parked = relay.progress().parked();
    of_a.extend(commit(&scene, "orders", &["a", "a", "a"]).await);
    until_key_has(&scene, "a", &of_a).await;
    assert_eq!(relay.progress().parked(), parked);
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(
        (report.dead_lettered, report.possible_duplicates),
        (0, Default::default())
    );
}

#[tokio::test]
async fn a_replay_that_fails_again_blocks_again() {
    let scene = Scene::new().await;
    let (dead, of_a) = blocked(&scene).await;
    scene.broker.fail(dead, DEAD);
    scene.broker.fail(of_a[3], DEAD);
    replay(&scene, dead).await;
    scene
        .relay_with(config(), RelayWaker::new())
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(of_key(&scene, "a"), of_a[..1]);
    assert_eq!(listed(&scene).await.len(), 4);
    // The second time it goes, but one behind it is dead.
    replay(&scene, dead).await;
    scene
        .relay_with(config(), RelayWaker::new())
        .drain(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(of_key(&scene, "a"), of_a[..3]);
    let left = listed(&scene).await;
    let states: Vec<&str> = left.iter().map(|dead_letter| dead_letter.1.as_str()).collect();
    assert_eq!(
        (states, left[0].0.as_str()),
        (vec!["dead", "parked"], of_a[3].to_string().as_str())
    );
}

#[tokio::test]
async fn a_discard_lets_those_behind_it_go() {
    let scene = Scene::new().await;
    let (dead, mut of_a) = blocked(&scene).await;
    let relay = start(&scene);
    let filter = DeadLetterFilter {
        ids: vec![dead],
        ..DeadLetterFilter::default()
    };
    dead_letters(&scene)
        .discard(&filter, DeadLetterState::Dead)
        .await
        .unwrap();
    of_a.remove(1);
    until_key_has(&scene, "a", &of_a).await;
    of_a.extend(commit(&scene, "orders", &["a"]).await);
    until_key_has(&scene, "a", &of_a).await;
    relay.stop().await.unwrap();
}

/// In the log of the relay's own making: never two of one key on their way.
#[tokio::test]
async fn one_of_a_key_is_on_its_way_and_other_keys_do_not_wait() {
    let scene = Scene::new().await;
    scene.broker.hold();
    commit(&scene, "orders", &["a", "a", "a", "b", "b", "c"]).await;
    let relay = start(&scene);
    wait_until("the first of each key", LIMIT, async || {
        (scene.broker.waiting() == 3).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.broker.waiting(), 3, "several of one key are on their way");
    scene.broker.release();
    scene.until_log_has(6).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(report.delivered, 6);
}

/// Dead records, replays, discards, troubles of the topic, crashes and stops at random: in the end everything that
/// nobody discarded is in the broker, the first occurrences of each key in their order.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_and_goes_a_key_stays_in_order() {
    let seed = std::env::var("OUTBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("blocking: OUTBOX_TEST_SEED={seed}");
    for round in 0..8 {
        torment(seed.wrapping_add(round), round % 2 == 1).await;
    }
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

struct Torment {
    seed: u64,
    random: StdRng,
    scene: Scene,
    committed: HashMap<&'static str, Vec<Uuid>>,
}

impl Torment {
    /// Often does something to the topic, to the dead letters or, with `crashes`, to the relay.
    async fn trouble(&mut self, relay: RunningRelay, crashes: bool) -> RunningRelay {
        let scene = &self.scene;
        let dead_letters = dead_letters(scene);
        match self.random.random_range(0..16) {
            0 => scene.broker.lose_topic("orders"),
            1 => scene.broker.forbid_topic("orders"),
            2 => scene.broker.hold_topic("orders"),
            3 => scene.broker.release(),
            4 | 5 => scene.broker.mend_topic("orders"),
            6 if crashes => {
                // As dropping the future does it: nobody settles anything.
                drop(relay);
                return start(scene);
            }
            7 | 8 => {
                let everything = DeadLetterFilter::default();
                dead_letters.request_replay(&everything).await.unwrap();
            }
            9 => {
                let key = (*KEYS.choose(&mut self.random).unwrap()).to_owned();
                let filter = DeadLetterFilter {
                    key: Some(key),
                    ..DeadLetterFilter::default()
                };
                dead_letters
                    .discard(&filter, DeadLetterState::Dead)
                    .await
                    .unwrap();
            }
            _ => {}
        }
        relay
    }

    /// Commits orders, of which a few are dead, and an invoice.
    async fn commit(&mut self) {
        let many = self.random.random_range(0..12);
        let keys: Vec<&'static str> = (0..many)
            .map(|_| *KEYS.choose(&mut self.random).unwrap())
            .collect();
        let ids = commit(&self.scene, "orders", &keys).await;
        commit(&self.scene, "invoices", &["x"]).await;
        for (key, id) in keys.into_iter().zip(ids) {
            if self.random.random_bool(0.05) {
                self.scene.broker.fail(id, DEAD);
            }
            self.committed.entry(key).or_default().push(id);
        }
    }

    /// The broker has all of these rows but a few that were discarded, and each key in its order. If some were
    /// repeated, their first occurrences count.
    #[track_caller]
    fn assert_in_order(&self, rows: usize, repeated: bool) {
        let seed = self.seed;
        let delivered: HashSet<Uuid> = self.scene.broker.ids().into_iter().collect();
        let mut lost = 0;
        for (key, ids) in &self.committed {
            let mut log = of_key(&self.scene, key);
            if repeated {
                let mut seen = HashSet::new();
                log.retain(|id| seen.insert(*id));
            }
            let kept: Vec<Uuid> = ids.iter().copied().filter(|id| delivered.contains(id)).collect();
            lost += ids.len() - kept.len();
            assert_eq!(log, kept, "{key}, seed {seed}");
        }
        // Those that somebody discarded, which can only have been dead ones.
        assert!(lost <= rows / 10, "{lost} of {rows} are gone, seed {seed}");
    }
}

async fn torment(seed: u64, crashes: bool) {
    let mut torment = Torment {
        seed,
        random: StdRng::seed_from_u64(seed),
        scene: Scene::new().await,
        committed: HashMap::new(),
    };
    let mut relay = start(&torment.scene);
    for _ in 0..80 {
        relay = torment.trouble(relay, crashes).await;
        torment.commit().await;
        tokio::time::sleep(Duration::from_millis(torment.random.random_range(0..25))).await;
    }
    let scene = &torment.scene;
    scene.broker.mend_topic("orders");
    scene.broker.release();
    let rows: usize = torment.committed.values().map(Vec::len).sum::<usize>() + 80;
    until_settled(scene, rows).await;
    let (dead_letters, everything) = (dead_letters(scene), DeadLetterFilter::default());
    wait_until(
        &format!("no dead letter to be left, seed {seed}"),
        LIMIT,
        async || {
            dead_letters.request_replay(&everything).await.unwrap();
            (dead_letters.count(&everything).await.unwrap() == 0).then_some(())
        },
    )
    .await;
    let report = relay.stop().await.unwrap().unwrap();
    let counted = report.possible_duplicates != Default::default();
    torment.assert_in_order(rows, crashes || counted);
}

/// At a stop, records that wait for others of their key stand before one that is settled. They are sent one after the
/// other in one go: with a pause after each, the stop would not end in time, and what is settled would come twice.
#[tokio::test]
async fn a_stop_sends_all_that_waits_before_a_settled_record() {
    let scene = Scene::new().await;
    let mut keys = vec!["a"; 40];
    keys.extend(["b", "c"]);
    let ids = commit(&scene, "orders", &keys).await;
    scene.broker.hold();
    let pause = Duration::from_secs(2);
    // All but the last one: reading ends at `b`, before what waits is sent.
    let config = config()
        .page_rows(100)
        .max_in_flight_records(41)
        .backoff_min(pause)
        .backoff_max(pause)
        .lease_ttl(LIMIT)
        .shutdown_timeout(20 * pause);
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    let broker = scene.broker.clone();
    wait_until("one record of each key to be in flight", LIMIT, async || {
        (broker.waiting() == 2).then_some(())
    })
    .await;
    let (stopped, ()) = tokio::join!(relay.stop(), async {
        tokio::task::yield_now().await;
        scene.broker.release();
    });
    let report = stopped.unwrap().unwrap();
    assert_eq!(
        (report.delivered, report.possible_duplicates),
        (41, Default::default())
    );
    assert_eq!(of_key(&scene, "a"), ids[..40]);
}
