//! Topics that block, from PostgreSQL to Kafka: the order holds for everything, replays included.

use std::time::Duration;

use outbox_runtime::store::{DeadLetterFilter, DeadLetters};
use outbox_runtime::{KafkaPublisher, PostgresStore, Relay, RelayConfig, RunningRelay, Tables};
use outbox_tests::kafka::Topic;
use outbox_tests::servers;
use outbox_tests::writers::Writers;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::Postgres;

const LIMIT: Duration = Duration::from_secs(300);

fn relay(database: &TestDatabase<Postgres>) -> RunningRelay {
    let publisher = KafkaPublisher::builder(servers::brokers()).build().unwrap();
    let config = RelayConfig::new()
        .block(vec!["blocking-*".to_owned()])
        // A key's records go one by one, also those that have to go before a stop; on a busy machine that takes a while.
        .shutdown_timeout(LIMIT)
        // No lease is lost on a busy machine: the test expects no possible duplicates.
        .lease_ttl(LIMIT);
    let relay = Relay::builder(PostgresStore::new(&database.pool), publisher).config(config);
    relay.build().unwrap().spawn()
}

async fn count(database: &TestDatabase<Postgres>, state: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox_dead_letters WHERE state = $1")
        .bind(state)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

/// Beside concurrent writers a topic takes only small records for a while, and everything again later. Whoever is dead
/// by then is replayed, again and again, while new events of its key come in.
#[tokio::test(flavor = "multi_thread")]
async fn all_first_occurrences_are_in_order_though_records_died_and_were_replayed() {
    let database = TestDatabase::<Postgres>::postgres().await;
    let topic = Topic::create("blocking", 3).await;
    let writers = Writers::on(&database.pool, [topic.name()])
        .keys(40)
        .transactions(2_500)
        .pause(Duration::from_millis(5))
        .start()
        .await;
    let first = relay(&database);
    wait_until("the first events to arrive", LIMIT, async || {
        (topic.end_offset().await > 100).then_some(())
    })
    .await;
    topic.set(&[("max.message.bytes", "300")]).await;
    wait_until("keys to wait behind dead records", LIMIT, async || {
        (count(&database, "dead").await >= 5 && count(&database, "parked").await >= 20).then_some(())
    })
    .await;
    topic.set(&[]).await;
    let report = first.stop().await.unwrap().unwrap();
    assert_eq!(report.possible_duplicates, Default::default());
    // The next one learns from the database which keys wait, and asks the topic anew what it takes.
    let second = relay(&database);
    let dead_letters = DeadLetters::in_postgres(&database.pool, &Tables::default());
    let everything = DeadLetterFilter::default();
    let mut asked = 0;
    let mut finished = Box::pin(writers.finish());
    let ledger = loop {
        asked += dead_letters.request_replay(&everything).await.unwrap();
        tokio::select! {
            ledger = &mut finished => break ledger,
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
    };
    wait_until("no dead letter to be left", LIMIT, async || {
        dead_letters.request_replay(&everything).await.unwrap();
        (dead_letters.count(&everything).await.unwrap() == 0).then_some(())
    })
    .await;
    assert!(asked >= 5, "only {asked} replays");
    wait_until("everything to arrive", LIMIT, async || {
        (topic.end_offset().await >= ledger.committed.len() as i64).then_some(())
    })
    .await;
    let report = second.stop().await.unwrap().unwrap();
    assert_eq!(report.possible_duplicates, Default::default());
    let report = ledger.check(&topic.read_all().await);
    assert!(report.is_exact(), "{report}");
}
