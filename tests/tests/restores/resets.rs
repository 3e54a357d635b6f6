//! The sequence behind `seq` goes back: nothing is left out, and nothing comes twice.

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::brokers;
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Postgres};

use crate::scene::{LIMIT, connect, insert, number, outbox, range, run};

const MODES: [&str; 2] = ["at-least-once", "exactly-once"];

/// What empties the log and lets its numbers begin again, or at another place.
const RESETS: [&str; 5] = [
    "TRUNCATE outbox_messages RESTART IDENTITY",
    "DELETE FROM outbox_messages; ALTER TABLE outbox_messages ALTER COLUMN seq RESTART",
    "DELETE FROM outbox_messages; SELECT setval(pg_get_serial_sequence('outbox_messages', 'seq'), 1, false)",
    "DELETE FROM outbox_messages; SELECT setval(pg_get_serial_sequence('outbox_messages', 'seq'), 250)",
    "TRUNCATE outbox_messages; ALTER TABLE outbox_messages ALTER COLUMN seq RESTART WITH 499",
];

struct Log {
    url: String,
    topic: Topic,
    mode: &'static str,
}

impl Log {
    async fn new(database: &TestDatabase<Postgres>, mode: &'static str) -> Self {
        Self {
            url: database.url(),
            topic: Topic::create("resets", 2).await,
            mode,
        }
    }

    fn arguments(&self) -> String {
        format!(
            "relay -D {} --brokers {} --delivery {} --lease-ttl 1s",
            self.url,
            brokers(),
            self.mode
        )
    }

    async fn drain(&self) -> Ran {
        outbox(&format!("{} --until-empty", self.arguments())).await
    }

    fn relay(&self) -> Running {
        Running::start(command(&self.arguments()))
    }

    async fn numbers(&self) -> Vec<u32> {
        let records = self.topic.read_committed().await;
        let values = records.iter().map(|record| record.value.as_deref().unwrap());
        let mut numbers: Vec<u32> = values
            .map(|value| serde_json::from_slice(value).unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    async fn until_arrived(&self, count: usize) {
        wait_until("the events to arrive", LIMIT, async || {
            (self.numbers().await.len() >= count).then_some(())
        })
        .await;
    }

    async fn has_exactly(&self, count: u32, what: &str) {
        assert_eq!(self.numbers().await, range(0..count), "{what}, {}", self.mode);
        let status = outbox(&format!("status --json -D {}", self.url)).await.done();
        assert!(status.contains(r#""messages":0"#), "{what}: {status}");
    }
}

/// Everything is settled, and the cursor has a bound on the transactions below it.
async fn until_at_rest(pool: &PgPool) {
    let at_rest = "count(*) FROM outbox_cursor WHERE to_snapshot IS NULL AND xid_bound IS NOT NULL AND
                   NOT EXISTS (SELECT FROM outbox_messages WHERE NOT pg_visible_in_snapshot(xid, from_snapshot))";
    wait_until("the relay to be at rest", LIMIT, async || {
        (number(pool, at_rest).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_went_back_while_no_relay_ran_hides_nothing() {
    for mode in MODES {
        for reset in RESETS {
            // Both ways: the numbers stay below what was delivered, or pass it before anybody looks.
            for first in [100, 600] {
                let database = TestDatabase::postgres().await;
                let log = Log::new(&database, mode).await;
                insert(&database.pool, &log.topic, 0..500).await;
                log.drain().await.done();
                run(&database.pool, reset).await;
                insert(&database.pool, &log.topic, 500..500 + first).await;
                let status = outbox(&format!("status --json -D {}", log.url)).await.done();
                assert!(
                    status.contains(&format!(r#""messages":{first}"#)),
                    "{reset}: {status}"
                );
                assert_eq!(log.drain().await.done(), format!("delivered {first} messages\n"));
                insert(&database.pool, &log.topic, 500 + first..1_200).await;
                log.drain().await.done();
                log.has_exactly(1_200, reset).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_goes_back_under_a_relay_hides_nothing() {
    for mode in MODES {
        for reset in RESETS {
            let database = TestDatabase::postgres().await;
            let log = Log::new(&database, mode).await;
            let relay = log.relay();
            insert(&database.pool, &log.topic, 0..500).await;
            log.until_arrived(500).await;
            until_at_rest(&database.pool).await;
            let again = connect(&log.url).await;
            let mut transaction = again.begin().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(reset))
                .execute(&mut *transaction)
                .await
                .unwrap();
            insert(&mut *transaction, &log.topic, 500..1_100).await;
            transaction.commit().await.unwrap();
            for more in [1_100, 1_110, 1_120] {
                insert(&database.pool, &log.topic, more..more + 10).await;
            }
            log.until_arrived(1_130).await;
            relay.stop().await.done();
            log.has_exactly(1_130, reset).await;
            again.close().await;
        }
    }
}
