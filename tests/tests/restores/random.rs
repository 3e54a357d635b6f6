//! Logs that were written and read at random, dumped at a random time, and adopted while others write: each row
//! that was not settled is read once, after all that precede it.

use std::collections::BTreeMap;

use outbox_runtime::PostgresStore;
use outbox_runtime::store::{Adopt, Fence, Mark, PageLimit, Reader, Store};
use outbox_tests::servers::PostgresServer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::scene::{ahead_and_behind, connect, database, log_at};

const ROUNDS: u64 = 8;

/// What happened to a row, in steps of one clock.
#[derive(Debug, Clone, Copy)]
struct Written {
    transaction: usize,
    inserted: usize,
    committed: Option<usize>,
}

/// Everything that was written, by number; the numbers of a transaction are in the order of its inserts.
#[derive(Default)]
struct History {
    clock: usize,
    transactions: usize,
    rows: BTreeMap<i64, Written>,
}

impl History {
    fn commit(&mut self, transaction: usize) {
        self.clock += 1;
        let clock = self.clock;
        let rows = self.rows.values_mut();
        rows.filter(|row| row.transaction == transaction)
            .for_each(|row| row.committed = Some(clock));
    }

    fn committed(&self) -> Vec<i64> {
        let committed = self.rows.iter().filter(|(_, row)| row.committed.is_some());
        committed.map(|(number, _)| *number).collect()
    }

    /// All rows are of one key.
    fn precedes(&self, one: i64, other: i64) -> bool {
        let (a, b) = (self.rows[&one], self.rows[&other]);
        let earlier = a.committed.is_some_and(|committed| committed < b.inserted);
        earlier || (a.transaction == b.transaction && one < other)
    }
}

/// Writers on one database: some transactions, open at once.
struct Writers {
    pool: PgPool,
    open: Vec<(usize, Transaction<'static, Postgres>)>,
}

impl Writers {
    async fn step(&mut self, history: &mut History, random: &mut StdRng) {
        let nth = random.random_range(0..self.open.len().max(1));
        match random.random_range(0..10) {
            0..3 if self.open.len() < 5 => {
                let transaction = self.pool.begin().await.unwrap();
                history.transactions += 1;
                self.open.push((history.transactions, transaction));
            }
            3..8 if !self.open.is_empty() => {
                history.clock += 1;
                let (transaction, tx) = &mut self.open[nth];
                let number = history.rows.len() as i64;
                let insert =
                    "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                              VALUES ('order', 'one', 'E', 'orders', to_json($1::bigint))";
                sqlx::query(insert).bind(number).execute(&mut **tx).await.unwrap();
                let row = Written {
                    transaction: *transaction,
                    inserted: history.clock,
                    committed: None,
                };
                history.rows.insert(number, row);
            }
            8 if !self.open.is_empty() => {
                let (transaction, tx) = self.open.swap_remove(nth);
                tx.commit().await.unwrap();
                history.commit(transaction);
            }
            9 if !self.open.is_empty() => self.open.swap_remove(nth).1.rollback().await.unwrap(),
            _ => {}
        }
    }
}

/// A relay's reading side, which settles up to some row that it has read.
struct Reading {
    store: PostgresStore,
    epoch: i64,
    reader: <PostgresStore as Store>::Reader,
    unsettled: Vec<(i64, Mark)>,
    settled: Vec<i64>,
}

impl Reading {
    async fn start(store: PostgresStore, epoch: i64) -> Self {
        let fence = Fence {
            epoch,
            token: Uuid::new_v4(),
        };
        let reader = store.open_reader(fence).await.unwrap();
        Self {
            store,
            epoch,
            reader,
            unsettled: Vec::new(),
            settled: Vec::new(),
        }
    }

    async fn read(&mut self, rows: usize) -> usize {
        let limit = PageLimit { rows, bytes: 1 << 20 };
        let Some(page) = self.reader.next_page(limit).await.unwrap() else {
            return 0;
        };
        let window = page.window();
        self.unsettled.extend(page.iter().map(|row| {
            let number = serde_json::from_slice(row.payload.unwrap()).unwrap();
            (number, Mark { window, seq: row.seq })
        }));
        page.len()
    }

    async fn settle(&mut self, rows: usize) {
        if let Some((_, mark)) = rows.checked_sub(1).map(|last| self.unsettled[last]) {
            self.reader.persist(mark).await.unwrap();
            self.settled
                .extend(self.unsettled.drain(..rows).map(|(number, _)| number));
        }
    }

    async fn step(mut self, random: &mut StdRng) -> Self {
        match random.random_range(0..6) {
            0..3 => {
                self.read(random.random_range(1..5)).await;
            }
            3..5 => self.settle(random.random_range(0..=self.unsettled.len())).await,
            // A crash.
            _ => {
                let settled = self.settled;
                self = Self::start(self.store, self.epoch + 1).await;
                self.settled = settled;
            }
        }
        self
    }
}

async fn round(source: &PostgresServer, target: &PostgresServer, number: u64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (name, mut history) = (format!("round_{number}"), History::default());
    let pool = log_at(&database(source, &name).await).await;
    let mut reading = Reading::start(PostgresStore::new(&pool), 1).await;
    let mut writers = Writers {
        pool,
        open: Vec::new(),
    };
    for _ in 0..random.random_range(0..120) {
        writers.step(&mut history, &mut random).await;
        if random.random_bool(0.3) {
            reading = reading.step(&mut random).await;
        }
    }
    source.dump_into(&name, target, &name).await;
    let (settled, epoch) = (reading.settled.clone(), reading.epoch);
    let mut expected: Vec<i64> = history.committed();
    expected.retain(|number| !settled.contains(number));
    let before = history.rows.len() as i64;
    // What is still open there is nothing to the copy.
    drop((reading, writers));

    let pool = connect(&target.url_of(&name)).await;
    let mut writers = Writers {
        pool: pool.clone(),
        open: Vec::new(),
    };
    for _ in 0..random.random_range(0..40) {
        writers.step(&mut history, &mut random).await;
    }
    let store = PostgresStore::new(&pool);
    store.adopt(Adopt::default()).await.unwrap();
    let mut reading = Reading::start(store, epoch + 1).await;
    for _ in 0..60 {
        writers.step(&mut history, &mut random).await;
        reading = reading.step(&mut random).await;
    }
    for (transaction, tx) in writers.open {
        tx.commit().await.unwrap();
        history.commit(transaction);
    }
    while reading.read(100).await > 0 {}
    reading.settle(reading.unsettled.len()).await;
    expected.extend(history.committed().into_iter().filter(|number| *number >= before));

    let mut read = reading.settled.clone();
    for (place, row) in read.iter().enumerate() {
        for later in &read[place + 1..] {
            assert!(
                !history.precedes(*later, *row),
                "{later} precedes {row} (seed {seed}): {read:?}"
            );
        }
    }
    read.sort_unstable();
    assert_eq!(
        read, expected,
        "seed {seed}; settled before the dump: {settled:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_settled_is_read_once_and_in_order() {
    let (ahead, behind) = ahead_and_behind().await;
    let seed = std::env::var("OUTBOX_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let first: u64 = seed.unwrap_or_else(|| rand::random::<u32>().into());
    eprintln!("restores: OUTBOX_TEST_SEED={first}");
    for number in 0..ROUNDS {
        let (source, target) = if number % 2 == 0 {
            (ahead, behind)
        } else {
            (behind, ahead)
        };
        round(source, target, number, first + number).await;
    }
}
