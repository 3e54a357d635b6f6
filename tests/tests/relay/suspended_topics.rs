//! Topics that take no records while others do: seen from a broker in memory, whose topics fail as requested.

use std::cell::RefCell;
use std::time::Duration;

use outbox_runtime::relay::PossibleDuplicates;
use outbox_runtime::{RelayConfig, RelayWaker, RunningRelay};
use outbox_tests::wait_until;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::{LIMIT, Scene, quick};

const PARKED: &str = "count(*) FROM outbox_dead_letters WHERE state = 'parked'";
const IN_DEAD_LETTERS: &str = "count(*) FROM outbox_dead_letters";

fn config() -> RelayConfig {
    quick().suspend_after(Duration::from_millis(100)).page_rows(20)
}

fn start(scene: &Scene) -> RunningRelay {
    scene.relay_with(config(), RelayWaker::new()).spawn()
}

async fn until_count(scene: &Scene, of: &str, count: i64) {
    wait_until(&format!("{count} to be the {of}"), LIMIT, async || {
        (scene.count(of).await == count).then_some(())
    })
    .await;
}

/// Commits events of another topic until they have shown that it is not the broker, and returns their ids.
async fn until_parked(scene: &Scene, count: i64) -> Vec<Uuid> {
    let ids = RefCell::new(Vec::new());
    wait_until("records to be parked", LIMIT, async || {
        let more = scene.commit_to("well", 1).await;
        ids.borrow_mut().extend(more);
        (scene.count(PARKED).await == count).then_some(())
    })
    .await;
    ids.into_inner()
}

/// The log of one topic.
fn ids_in(scene: &Scene, topic: &str) -> Vec<Uuid> {
    let log = scene.broker.log().into_iter();
    log.filter(|record| record.topic == topic)
        .map(|record| record.id)
        .collect()
}

async fn until_topic_has(scene: &Scene, topic: &str, count: usize) {
    wait_until("a topic to have all", LIMIT, async || {
        (ids_in(scene, topic).len() >= count).then_some(())
    })
    .await;
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Missing,
    Forbidden,
    Silent,
}

impl Trouble {
    fn begin(self, scene: &Scene, topic: &str) {
        match self {
            Self::Missing => scene.broker.lose_topic(topic),
            Self::Forbidden => scene.broker.forbid_topic(topic),
            Self::Silent => scene.broker.hold_topic(topic),
        }
    }

    fn end(self, scene: &Scene, topic: &str) {
        match self {
            Self::Missing | Self::Forbidden => scene.broker.mend_topic(topic),
            Self::Silent => scene.broker.release(),
        }
    }
}

/// Others flow, the topic's records are parked in order, and go out in order once it takes them: those that
/// were on their way, those that were parked, and those that came while they went out.
async fn a_topic_in_trouble(trouble: Trouble) {
    let scene = Scene::new().await;
    let mut sick = scene.commit_to("sick", 5).await;
    let relay = start(&scene);
    until_topic_has(&scene, "sick", 5).await;
    trouble.begin(&scene, "sick");
    let mut well = Vec::new();
    for _ in 0..30 {
        sick.extend(scene.commit_to("sick", 5).await);
        well.extend(scene.commit_to("well", 5).await);
    }
    until_topic_has(&scene, "well", 150).await;
    well.extend(until_parked(&scene, 150).await);
    let all = |sick: &[Uuid], well: &[Uuid]| (sick.len() + well.len()) as i64;
    until_count(&scene, "high FROM outbox_cursor", all(&sick, &well)).await;
    assert_eq!(ids_in(&scene, "sick"), sick[..5], "{trouble:?}");
    // Those that come now are parked too.
    sick.extend(scene.commit_to("sick", 50).await);
    well.extend(scene.commit_to("well", 50).await);
    until_count(&scene, PARKED, 200).await;
    trouble.end(&scene, "sick");
    sick.extend(scene.commit_to("sick", 50).await);
    until_topic_has(&scene, "sick", 255).await;
    until_count(&scene, IN_DEAD_LETTERS, 0).await;
    // And then it is a topic like any other.
    let before = relay.progress().parked();
    sick.extend(scene.commit_to("sick", 50).await);
    until_topic_has(&scene, "sick", 305).await;
    assert_eq!(relay.progress().parked(), before, "{trouble:?}");
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!(ids_in(&scene, "sick"), sick, "{trouble:?}");
    assert_eq!(ids_in(&scene, "well"), well, "{trouble:?}");
    let all = all(&sick, &well);
    assert_eq!(
        (report.delivered as i64, report.dead_lettered),
        (all, 0),
        "{trouble:?}"
    );
    assert_eq!(scene.count("high FROM outbox_cursor").await, all);
}

#[tokio::test]
async fn a_missing_topic_is_suspended_and_heals() {
    a_topic_in_trouble(Trouble::Missing).await;
}

#[tokio::test]
async fn a_forbidden_topic_is_suspended_and_heals() {
    a_topic_in_trouble(Trouble::Forbidden).await;
}

#[tokio::test]
async fn a_silent_topic_is_suspended_and_heals() {
    a_topic_in_trouble(Trouble::Silent).await;
}

/// A broker that is away accepts nothing at all, and then nothing is parked.
#[tokio::test]
async fn an_outage_parks_nothing() {
    let scene = Scene::new().await;
    let mut one = scene.commit_to("one", 20).await;
    let mut two = scene.commit_to("two", 20).await;
    let relay = start(&scene);
    scene.until_log_has(40).await;
    scene.broker.hold();
    for _ in 0..10 {
        one.extend(scene.commit_to("one", 5).await);
        two.extend(scene.commit_to("two", 5).await);
        // Several times as long as a topic may be silent while others are not.
        tokio::time::sleep(config().suspend_after / 2).await;
    }
    scene.broker.release();
    scene.until_log_has(140).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!((report.parked, report.delivered), (0, 140));
    assert_eq!((ids_in(&scene, "one"), ids_in(&scene, "two")), (one, two));
}

/// Where nothing else is delivered, nothing shows that it is the topic's fault.
#[tokio::test]
async fn the_only_topic_is_waited_for() {
    let scene = Scene::new().await;
    scene.broker.lose_topic("orders");
    let ids = scene.commit(30).await;
    let relay = start(&scene);
    tokio::time::sleep(config().suspend_after * 3).await;
    scene.broker.mend_topic("orders");
    scene.until_log_has(30).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!((scene.broker.ids(), report.parked), (ids, 0));
}

/// Where more records wait than a relay remembers, others cannot be reached behind them. The broker's refusal has to do.
async fn a_topic_that_fills_the_memory(trouble: Trouble) {
    let scene = Scene::new().await;
    trouble.begin(&scene, "sick");
    let sick = scene.commit_to("sick", 21_000).await;
    let well = scene.commit_to("well", 10).await;
    let config = config().max_in_flight_records(100).page_rows(2_000);
    let relay = scene.relay_with(config, RelayWaker::new()).spawn();
    until_topic_has(&scene, "well", 10).await;
    trouble.end(&scene, "sick");
    // All of them were read before the others, so they come out of the dead letters. To look at the broker's log of
    // so many again and again would take more time than they do.
    until_count(&scene, IN_DEAD_LETTERS, 0).await;
    relay.stop().await.unwrap();
    assert_eq!(ids_in(&scene, "sick"), sick, "{trouble:?}");
    assert_eq!(ids_in(&scene, "well"), well, "{trouble:?}");
}

#[tokio::test]
async fn a_missing_topic_that_fills_the_memory_is_suspended() {
    a_topic_that_fills_the_memory(Trouble::Missing).await;
}

#[tokio::test]
async fn a_forbidden_topic_that_fills_the_memory_is_suspended() {
    a_topic_that_fills_the_memory(Trouble::Forbidden).await;
}

/// The next relay learns from the database which topics are suspended.
#[tokio::test]
async fn a_crash_of_the_relay_loses_no_place() {
    let scene = Scene::new().await;
    scene.broker.forbid_topic("sick");
    let mut sick = scene.commit_to("sick", 50).await;
    let mut relay = scene.relay_with(config(), RelayWaker::new());
    tokio::select! {
        _ = relay.run(tokio_util::sync::CancellationToken::new()) => unreachable!("nobody stops it"),
        _ = until_parked(&scene, 50) => {}
    }
    drop(relay);
    scene.broker.mend_topic("sick");
    sick.extend(scene.commit_to("sick", 50).await);
    let report = scene
        .relay_with(config(), RelayWaker::new())
        .drain(CancellationToken::new())
        .await
        .unwrap();
    // What was parked, and not passed by the cursor before the crash, may go out before the log is read again.
    let mut seen = std::collections::HashSet::new();
    let first: Vec<Uuid> = ids_in(&scene, "sick")
        .into_iter()
        .filter(|id| seen.insert(*id))
        .collect();
    assert_eq!(first, sick);
    assert_eq!((report.dead_lettered, scene.count(IN_DEAD_LETTERS).await), (0, 0));
}

/// A topic that came back smaller: one of its parked records can never be delivered, the others go on.
#[tokio::test]
async fn a_parked_record_that_cannot_be_cured_is_dead() {
    let scene = Scene::new().await;
    scene.broker.forbid_topic("sick");
    let mut sick = scene.commit_to("sick", 30).await;
    let relay = start(&scene);
    until_parked(&scene, 30).await;
    let bad = sick.remove(10);
    scene.broker.fail(
        bad,
        outbox_runtime::publisher::PublishErrorKind::Record("too_large"),
    );
    scene.broker.mend_topic("sick");
    until_topic_has(&scene, "sick", 29).await;
    until_count(&scene, PARKED, 0).await;
    let report = relay.stop().await.unwrap().unwrap();
    assert_eq!((ids_in(&scene, "sick"), report.dead_lettered), (sick, 1));
    let dead: (String, String, i64) = sqlx::query_as("SELECT id, reason, attempts FROM outbox_dead_letters")
        .fetch_one(&scene.database.pool)
        .await
        .unwrap();
    assert_eq!(dead, (bad.to_string(), "too_large".to_owned(), 2));
}

/// Troubles of several topics come and go at random, relays crash and stop, and in the end everything is in the
/// broker: each topic's first occurrences in their order, and nothing twice unless a relay crashed or says so.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_and_goes() {
    let seed = std::env::var("OUTBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("suspended_topics: OUTBOX_TEST_SEED={seed}");
    for round in 0..6 {
        torment(seed.wrapping_add(round), round % 2 == 1).await;
    }
}

async fn torment(seed: u64, crashes: bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let topics = ["a", "b", "c", "d"];
    let scene = Scene::new().await;
    let mut committed: Vec<(&str, Vec<Uuid>)> = topics.map(|topic| (topic, Vec::new())).to_vec();
    let config = || {
        config()
            // Longer than anything here takes, so that no outcome is unknown after a stop.
            .shutdown_timeout(LIMIT)
            .suspend_after(Duration::from_millis(30))
    };
    let mut relay = scene.relay_with(config(), RelayWaker::new()).spawn();
    for _ in 0..60 {
        let topic = *topics.choose(&mut random).unwrap();
        match random.random_range(0..10) {
            0 => scene.broker.lose_topic(topic),
            1 => scene.broker.forbid_topic(topic),
            2 => scene.broker.hold_topic(topic),
            3 => scene.broker.release(),
            4 | 5 => scene.broker.mend_topic(topic),
            6 if crashes => {
                // As dropping the future does it: nobody settles anything.
                drop(relay);
                relay = scene.relay_with(config(), RelayWaker::new()).spawn();
            }
            _ => {}
        }
        for (topic, ids) in &mut committed {
            ids.extend(scene.commit_to(topic, random.random_range(0..12)).await);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..25))).await;
    }
    topics.iter().for_each(|topic| scene.broker.mend_topic(topic));
    scene.broker.release();
    for (topic, ids) in &committed {
        let all = || async {
            let log = ids_in(&scene, topic);
            ids.iter().all(|id| log.contains(id)).then_some(())
        };
        wait_until(&format!("all of {topic} to arrive, seed {seed}"), LIMIT, all).await;
    }
    until_count(&scene, IN_DEAD_LETTERS, 0).await;
    let report = relay
        .stop()
        .await
        .unwrap()
        .expect("the first to stop gets the report");
    // On a busy machine the short lease may be lost, which is a reason, and counted.
    let counted = report.possible_duplicates != PossibleDuplicates::default();
    for (topic, ids) in &committed {
        let mut log = ids_in(&scene, topic);
        if crashes || counted {
            let mut seen = std::collections::HashSet::new();
            log.retain(|id| seen.insert(*id));
        }
        assert_eq!(&log, ids, "{topic}, seed {seed}");
    }
}
