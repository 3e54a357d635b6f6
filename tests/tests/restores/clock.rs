//! The machine's clock is set back under a relay. `libfaketime` shows one process another time of day; what only goes
//! forward is left alone, as it is when somebody sets the clock.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Running, command};
use outbox_tests::servers::brokers;
use outbox_tests::{TestDatabase, wait_until};

use crate::scene::{LIMIT, insert, numbers, range};

/// What a stop may take: the relay's own deadline, and what it gives Kafka's clients to end, on a busy machine.
const STOP: Duration = Duration::from_secs(60);

/// Debian's package `libfaketime`, which `./tests/run` installs.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("there are libraries");
    let mut libraries = folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .find(|library| library.exists())
        .expect("libfaketime is installed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_holds_up_neither_events_nor_a_stop() {
    for mode in ["at-least-once", "exactly-once"] {
        let database = TestDatabase::postgres().await;
        let topic = Topic::create("clock", 2).await;
        let clock = tempfile::NamedTempFile::new().unwrap();
        fs::write(clock.path(), "+0").unwrap();
        let (url, brokers) = (database.url(), brokers());
        let mut relay = command(&format!(
            "relay -D {url} --brokers {brokers} --delivery {mode} --lease-ttl 1s"
        ));
        relay
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", clock.path())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let relay = Running::start(relay);
        let arrived = async |count: usize| {
            wait_until("the events to arrive", LIMIT, async || {
                (topic.read_committed().await.len() >= count).then_some(())
            })
            .await;
        };
        insert(&database.pool, &topic, 0..50).await;
        arrived(50).await;
        fs::write(clock.path(), "-600").unwrap();
        insert(&database.pool, &topic, 50..100).await;
        arrived(100).await;
        let asked = Instant::now();
        relay.stop().await.done();
        assert!(
            asked.elapsed() < STOP,
            "{mode}: the stop took {:?}",
            asked.elapsed()
        );
        assert_eq!(numbers(&topic).await, range(0..100), "{mode}");
    }
}
