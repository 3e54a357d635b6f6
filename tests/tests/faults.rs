//! Relays as processes of their own, and servers of the tests' own, that are killed, frozen and restarted while
//! writers write. Afterwards everything is compared.

use std::process::Stdio;
use std::time::Duration;

use outbox_tests::kafka::Topic;
use outbox_tests::servers::{self, KafkaServer, PostgresServer};
use outbox_tests::writers::{Ledger, RunningWriters, Writers};
use outbox_tests::{program, wait_until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use tokio::process::{Child, Command};

const LEASE: Duration = Duration::from_millis(1500);
/// Longer than a relay takes to find out that its Kafka client is stuck.
const LIMIT: Duration = Duration::from_secs(240);

struct Scene {
    postgres: PostgresServer,
    kafka: KafkaServer,
    topic: Topic,
    pool: PgPool,
}

impl Scene {
    async fn new() -> Self {
        let (postgres, kafka, pool) = servers::pair().await;
        let topic = Topic::create_at(&kafka.brokers(), "faults", 3, &[]).await;
        Self {
            postgres,
            kafka,
            topic,
            pool,
        }
    }

    fn writers_of(&self, transactions: u64) -> Writers {
        let writers = Writers::on(&self.pool, [self.topic.name()]).transactions(transactions);
        writers.through_faults()
    }

    async fn writers(&self, transactions: u64) -> RunningWriters {
        self.writers_of(transactions).start().await
    }

    /// Writers that write until they are stopped.
    async fn slow_writers(&self) -> RunningWriters {
        let writers = self.writers_of(u64::MAX).pause(Duration::from_millis(20));
        writers.start().await
    }

    fn relay(&self) -> Relay {
        Relay(self.command().spawn().expect("the relay starts"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.args(["relay", "--no-dotenv", "--database-url", &self.postgres.url()]);
        command.args([
            "--brokers",
            &self.kafka.brokers(),
            "--lease-ttl",
            &format!("{}ms", LEASE.as_millis()),
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Delivers what is left, and compares.
    async fn verdict(&self, ledger: &Ledger) -> outbox_runtime::testkit::checker::Report {
        let drained = tokio::time::timeout(LIMIT, self.command().arg("--until-empty").status()).await;
        assert!(drained.expect("the relay ends").unwrap().success());
        ledger.check(&self.topic.read_all().await)
    }

    /// How far the cursor is, in numbers of rows.
    async fn settled(&self) -> i64 {
        sqlx::query_scalar("SELECT high FROM outbox_cursor")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn delivered(&self) -> usize {
        self.topic.read_all().await.len()
    }
}

struct Relay(Child);

impl Relay {
    fn signal(&self, signal: Signal) {
        let id = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(id.expect("the relay runs"), signal).expect("it can be signalled");
    }

    async fn kill(mut self) {
        self.0.kill().await.expect("the relay can be killed");
    }

    /// SIGTERM, and the exit code.
    async fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(30), self.0.wait()).await;
        ended
            .expect("the relay stops in time")
            .expect("it can be waited for")
            .code()
    }
}

fn random() -> StdRng {
    let seed = std::env::var("OUTBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    eprintln!("faults: OUTBOX_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_killed_at_any_time_lose_nothing() {
    let (scene, mut random) = (Scene::new().await, random());
    let writers = scene.slow_writers().await;
    let (mut rounds, mut delivered) = (0, 0);
    while rounds < 4 || delivered == 0 {
        // Two at once: the standby takes over.
        for relay in [scene.relay(), scene.relay()] {
            tokio::time::sleep(Duration::from_millis(random.random_range(100..3_500))).await;
            relay.kill().await;
        }
        (rounds, delivered) = (rounds + 1, scene.delivered().await);
    }
    let ledger = writers.stop().await;
    let report = scene.verdict(&ledger).await;
    assert!(report.holds(), "{report}");
}

/// The holder of the lease sleeps for twice the lease while another takes over, and wakes up.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_paused_does_no_harm() {
    let scene = Scene::new().await;
    let writers = scene.slow_writers().await;
    let relays = [scene.relay(), scene.relay()];
    for paused in relays.iter().cycle().take(4) {
        tokio::time::sleep(LEASE / 2).await;
        paused.signal(Signal::STOP);
        tokio::time::sleep(2 * LEASE).await;
        paused.signal(Signal::CONT);
    }
    let ledger = writers.stop().await;
    for relay in relays {
        assert_eq!(relay.stop().await, Some(0));
    }
    let report = scene.verdict(&ledger).await;
    assert!(report.holds(), "{report}");
}

/// An outage alone makes no duplicates: the producer waits for as long as it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_or_dies_is_waited_for() {
    let mut scene = Scene::new().await;
    let writers = scene.writers(3_000).await;
    let relay = scene.relay();
    wait_until("the first events to arrive", LIMIT, async || {
        (scene.settled().await > 50).then_some(())
    })
    .await;
    scene.kafka.freeze();
    tokio::time::sleep(Duration::from_secs(15)).await;
    scene.kafka.thaw();
    let before = scene.settled().await;
    wait_until("events to arrive again", LIMIT, async || {
        (scene.settled().await > before).then_some(())
    })
    .await;
    scene.kafka.kill();
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.kafka.restart().await;
    let ledger = writers.finish().await;
    let report = scene.verdict_beside(relay, &ledger).await;
    assert!(report.is_exact(), "{report}");
}

/// All relays die while the broker hangs with their records.
#[tokio::test(flavor = "multi_thread")]
async fn relays_that_die_while_the_broker_is_frozen_lose_nothing() {
    let scene = Scene::new().await;
    let writers = scene.writers(2_000).await;
    let relays = [scene.relay(), scene.relay()];
    wait_until("the first events to arrive", LIMIT, async || {
        (scene.settled().await > 50).then_some(())
    })
    .await;
    scene.kafka.freeze();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for relay in relays {
        relay.kill().await;
    }
    let relay = scene.relay();
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.kafka.thaw();
    let ledger = writers.finish().await;
    let report = scene.verdict_beside(relay, &ledger).await;
    assert!(report.holds(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_or_restarted_is_waited_for() {
    let mut scene = Scene::new().await;
    let writers = scene.writers(2_500).await;
    let relay = scene.relay();
    for round in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if round % 2 == 0 {
            scene.postgres.kill();
        } else {
            scene.postgres.stop().await;
        }
        scene.postgres.restart().await;
    }
    let ledger = writers.finish().await;
    let report = scene.verdict_beside(relay, &ledger).await;
    assert!(report.holds(), "{report}");
}

impl Scene {
    /// The relay that lived through it has to deliver everything by itself; then it is stopped, and compared.
    async fn verdict_beside(
        &self,
        relay: Relay,
        ledger: &Ledger,
    ) -> outbox_runtime::testkit::checker::Report {
        let committed = ledger.committed.len();
        wait_until("the relay to deliver everything by itself", LIMIT, async || {
            (self.delivered().await >= committed).then_some(())
        })
        .await;
        assert_eq!(relay.stop().await, Some(0));
        self.verdict(ledger).await
    }
}

/// Servers that are away at the start are waited for, and a stop meanwhile is heeded.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_may_start_before_its_servers() {
    let mut scene = Scene::new().await;
    let writers = scene.writers(100).await;
    let ledger = writers.finish().await;
    scene.postgres.stop().await;
    scene.kafka.kill();
    let early = scene.relay();
    let relay = scene.relay();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(early.stop().await, Some(0));
    scene.postgres.restart().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.kafka.restart().await;
    let report = scene.verdict_beside(relay, &ledger).await;
    assert!(report.is_exact(), "{report}");
}
