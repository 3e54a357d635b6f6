//! Many writers at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outbox_runtime::{Outbox, RelayWaker, Tables};
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::business;
use super::ledger::{Ledger, OpenLedger, WrittenEvent};
use super::progress::Progress;
use super::shape::{Shape, Writer, run_name};
use crate::wait_until;

/// How long the database may be away before writers give up.
const PATIENCE: Duration = Duration::from_secs(120);

/// How concurrent writers shall write.
#[derive(Debug, Clone)]
pub struct Writers {
    pool: PgPool,
    tables: Tables,
    topics: Arc<[String]>,
    keys: u32,
    writers: usize,
    transactions: u64,
    shapes: Vec<Shape>,
    seed: u64,
    waker: RelayWaker,
    faults: bool,
    business: bool,
    pause: Duration,
}

impl Writers {
    /// Eight writers on this database and these topics: 1,000 transactions of all shapes, with 20 keys.
    ///
    /// They use connections of their own. The seed comes from `OUTBOX_TEST_SEED`, else from chance.
    pub fn on<'a>(pool: &PgPool, topics: impl IntoIterator<Item = &'a str>) -> Self {
        let seed = std::env::var("OUTBOX_TEST_SEED").ok();
        let seed = seed.map(|seed| seed.parse().expect("OUTBOX_TEST_SEED is a number"));
        Self {
            pool: pool.clone(),
            tables: Tables::default(),
            topics: topics.into_iter().map(str::to_owned).collect(),
            keys: 20,
            writers: 8,
            transactions: 1_000,
            shapes: Shape::ALL.to_vec(),
            seed: seed.unwrap_or_else(rand::random),
            waker: RelayWaker::new(),
            faults: false,
            business: false,
            pause: Duration::ZERO,
        }
    }

    /// Other tables than the default ones.
    pub fn tables(mut self, tables: &Tables) -> Self {
        self.tables = tables.clone();
        self
    }

    /// Among how many keys events are spread: few make much order.
    pub fn keys(mut self, keys: u32) -> Self {
        self.keys = keys;
        self
    }

    /// How many transactions are open at once.
    pub fn writers(mut self, writers: usize) -> Self {
        self.writers = writers;
        self
    }

    /// After how many transactions of all writers together it is enough.
    pub fn transactions(mut self, transactions: u64) -> Self {
        self.transactions = transactions;
        self
    }

    /// Only these shapes.
    pub fn shapes(mut self, shapes: &[Shape]) -> Self {
        self.shapes = shapes.to_vec();
        self
    }

    /// Wakes this relay after commits through the library.
    pub fn waker(mut self, waker: RelayWaker) -> Self {
        self.waker = waker;
        self
    }

    /// A seed that does not come from the environment.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The database may go away and come back, and connections may break: a failed transaction is given up, and
    /// where the answer to a commit was lost, the table decides at the end.
    pub fn through_faults(mut self) -> Self {
        self.faults = true;
        self
    }

    /// Each transaction also writes a row for each event into the table `business`, which then is what was
    /// committed.
    pub fn beside_business_rows(mut self) -> Self {
        self.business = true;
        self
    }

    /// How long each writer rests after a transaction, on average.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Starts writing.
    ///
    /// # Panics
    /// If the shapes ask for prepared transactions and the server has none.
    pub async fn start(self) -> RunningWriters {
        eprintln!("writers: OUTBOX_TEST_SEED={}", self.seed);
        let run = rand::random();
        let connections = PgPoolOptions::new().max_connections(self.writers as u32 + 2);
        let options = (*self.pool.connect_options())
            .clone()
            .application_name(&run_name(run));
        let pool = connections
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(options);
        self.check_prepared_transactions(&pool).await;
        if self.business {
            business::create(&pool)
                .await
                .expect("the business table can be made");
        }
        let outbox = Outbox::builder(pool.clone())
            .tables(self.tables.clone())
            .waker(self.waker)
            .build();
        let ledger = Arc::new(OpenLedger::default());
        let progress = Arc::new(Progress::of(self.writers));
        let stop = CancellationToken::new();
        let left = Arc::new(AtomicU64::new(self.transactions));
        let mut seeds = StdRng::seed_from_u64(self.seed);
        let mut tasks = JoinSet::new();
        for _ in 0..self.writers {
            let writer = Writer {
                run,
                pool: pool.clone(),
                outbox: outbox.clone(),
                tables: self.tables.clone(),
                business: self.business.then_some(run),
                topics: Arc::clone(&self.topics),
                keys: self.keys,
                random: StdRng::seed_from_u64(seeds.random()),
                ledger: Arc::clone(&ledger),
                progress: Arc::clone(&progress),
            };
            tasks.spawn(write_until_enough(
                writer,
                Choice::among(&self.shapes),
                Arc::clone(&left),
                stop.clone(),
                self.faults,
                self.pause,
            ));
        }
        RunningWriters {
            run,
            seed: self.seed,
            pool,
            tables: self.tables,
            business: self.business,
            ledger,
            tasks,
            stop,
        }
    }

    async fn check_prepared_transactions(&self, pool: &PgPool) {
        let prepared = [Shape::PreparedCommitted, Shape::PreparedRolledBack];
        if !self.shapes.iter().any(|shape| prepared.contains(shape)) {
            return;
        }
        let most: String = sqlx::query_scalar("SHOW max_prepared_transactions")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_ne!(
            most, "0",
            "the server needs max_prepared_transactions of at least {}",
            self.writers
        );
    }
}

struct Choice {
    shapes: Vec<Shape>,
    weights: WeightedIndex<u32>,
}

impl Choice {
    fn among(shapes: &[Shape]) -> Self {
        let weights = WeightedIndex::new(shapes.iter().map(|shape| shape.weight()));
        Self {
            shapes: shapes.to_vec(),
            weights: weights.expect("there are shapes"),
        }
    }
}

async fn write_until_enough(
    mut writer: Writer,
    choice: Choice,
    left: Arc<AtomicU64>,
    stop: CancellationToken,
    faults: bool,
    pause: Duration,
) {
    let one_less = |left: u64| left.checked_sub(1);
    while !stop.is_cancelled()
        && left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    {
        let shape = choice.shapes[writer.random.sample(&choice.weights)];
        if let Err(error) = writer.write(shape).await {
            assert!(faults, "a transaction of shape {shape:?} failed: {error}");
            wait_for_database(&writer.pool).await;
        }
        if !pause.is_zero() {
            let rest = pause.mul_f64(writer.random.random_range(0.0..2.0));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
    writer.progress.finished();
}

async fn wait_for_database(pool: &PgPool) {
    wait_until("the database to come back", PATIENCE, async || {
        sqlx::query("SELECT 1").execute(pool).await.ok()
    })
    .await;
}

/// Writers at work. Dropping it ends them in the middle of what they do.
#[derive(Debug)]
pub struct RunningWriters {
    run: u64,
    seed: u64,
    pool: PgPool,
    tables: Tables,
    business: bool,
    ledger: Arc<OpenLedger>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl RunningWriters {
    /// How many events were committed up to now.
    pub fn committed(&self) -> usize {
        self.ledger.with(|entries| entries.committed.len())
    }

    /// Looks at the events that were committed after the first `known` ones, and says how many there are now.
    pub fn look_at_committed(&self, known: usize, look: impl FnMut(&WrittenEvent)) -> usize {
        self.ledger.with(|entries| {
            entries.committed[known..].iter().for_each(look);
            entries.committed.len()
        })
    }

    /// A time of the clock that [`Written`](outbox_runtime::testkit::checker::Written) uses.
    pub fn now(&self) -> u64 {
        self.ledger.now()
    }

    /// Ends each writer after its present transaction, and says what was written.
    pub async fn stop(self) -> Ledger {
        self.stop.cancel();
        self.finish().await
    }

    /// Waits until all transactions are through, and says what was written. When it returns, no transaction of
    /// these writers is open or prepared.
    ///
    /// # Panics
    /// If a transaction failed, and faults were not expected.
    pub async fn finish(mut self) -> Ledger {
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        }
        self.wait_for_open_ones().await;
        let forgotten: Vec<String> =
            sqlx::query_scalar("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE $1")
                .bind(format!("{}-%", run_name(self.run)))
                .fetch_all(&self.pool)
                .await
                .expect("prepared transactions can be listed");
        for gid in forgotten {
            let roll_back = AssertSqlSafe(format!("ROLLBACK PREPARED '{gid}'"));
            sqlx::query(roll_back)
                .execute(&self.pool)
                .await
                .expect("it can be rolled back");
        }
        let unknown = self.ledger.with(|entries| std::mem::take(&mut entries.unknown));
        let there = self.found(&unknown).await;
        let (committed, rolled_back): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .partition(|written| there.contains(&written.event.id));
        self.ledger.rolled_back(rolled_back);
        let ledger = self.ledger.with(|entries| Ledger {
            seed: self.seed,
            committed: std::mem::take(&mut entries.committed)
                .into_iter()
                .chain(committed)
                .collect(),
            rolled_back: std::mem::take(&mut entries.rolled_back),
        });
        if self.business {
            let rows = business::of_run(&self.pool, self.run).await;
            ledger.agrees_with(&rows.expect("the business table can be read"));
        }
        ledger
    }

    /// A server that does not know yet that its client is gone still has the transaction open.
    async fn wait_for_open_ones(&self) {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE application_name = $1 AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
        wait_until("abandoned transactions to end", PATIENCE, async || {
            let open = sqlx::query_scalar(open)
                .bind(run_name(self.run))
                .fetch_one(&self.pool)
                .await;
            (open.ok() == Some(0_i64)).then_some(())
        })
        .await;
    }

    async fn found(&self, events: &[WrittenEvent]) -> HashSet<Uuid> {
        if self.business {
            let rows = business::of_run(&self.pool, self.run).await;
            return rows.expect("the business table can be read");
        }
        let ids: Vec<_> = events.iter().map(|written| written.event.id).collect();
        let select = format!("SELECT id FROM {} WHERE id = ANY($1)", self.tables.messages());
        let found = sqlx::query_scalar(AssertSqlSafe(select))
            .bind(ids)
            .fetch_all(&self.pool)
            .await;
        found.expect("the table can be read").into_iter().collect()
    }
}
