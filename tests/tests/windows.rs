//! The window's queries in a large log: what they touch is bounded by what they return, not by the log. There are two
//! million rows, or as many as `OUTBOX_TEST_ROWS` says.
//!
//! Time on a shared machine proves nothing, so the server's own counters are asked: how many index entries and
//! rows its scans went through.

use outbox_runtime::store::{Fence, Mark, PageLimit, Reader, Store};
use outbox_runtime::{PostgresStore, Tables, migrate};
use outbox_tests::servers::{PostgresServer, PostgresVersion};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Row};
use std::time::{Duration, Instant};
use uuid::Uuid;

const PAGE: PageLimit = PageLimit {
    rows: 5_000,
    bytes: 8 << 20,
};
const LIMIT: Duration = Duration::from_secs(120);
/// The application name of the connection that makes the log.
const FILLING: &str = "filling";

const INSERT: &str = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
     SELECT 'order', 'k' || i % 1000, 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, $1::bigint) i";

fn rows() -> i64 {
    std::env::var("OUTBOX_TEST_ROWS").map_or(2_000_000, |rows| rows.parse().unwrap())
}

/// Rows of a transaction that commits late.
fn late_rows() -> i64 {
    rows() / 10
}

struct Log {
    pool: PgPool,
    store: PostgresStore,
    epoch: i64,
}

impl Log {
    /// Does something with a reader of its own, and says how many index entries and rows the server went
    /// through for it. The counters come with the end of the connection.
    async fn touched(&mut self, work: impl AsyncFnOnce(&mut <PostgresStore as Store>::Reader)) -> i64 {
        self.no_reader().await;
        let before = self.counters().await;
        let mut reader = self.reader().await;
        work(&mut reader).await;
        drop(reader);
        self.no_reader().await;
        self.counters().await - before
    }

    /// Waits until every connection that read rows has ended, and added to the counters what it did.
    async fn no_reader(&self) {
        let gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('outbox-relay', $1)";
        wait_until("the reader's connection to end", LIMIT, async || {
            let left = sqlx::query_scalar(gone).bind(FILLING).fetch_one(&self.pool).await;
            let left: i64 = left.unwrap();
            (left == 0).then_some(())
        })
        .await;
    }

    async fn reader(&mut self) -> <PostgresStore as Store>::Reader {
        self.epoch += 1;
        self.store
            .open_reader(Fence {
                epoch: self.epoch,
                token: Uuid::new_v4(),
            })
            .await
            .unwrap()
    }

    async fn counters(&self) -> i64 {
        let row = sqlx::query(
            "SELECT (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'outbox_messages'),
                    (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'outbox_messages')",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        row.get::<i64, _>(0) + row.get::<i64, _>(1)
    }

    /// Moves the cursor past everything that is committed.
    async fn skip_all(&self) {
        sqlx::query(
            "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), xid_bound = pg_current_xact_id(),
                    high = (SELECT last_value FROM outbox_messages_seq_seq), to_snapshot = NULL, high_to = NULL,
                    position = NULL",
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn insert(&self, rows: i64) {
        sqlx::query(INSERT).bind(rows).execute(&self.pool).await.unwrap();
    }
}

/// Everything that is there, as one mark.
async fn read_all(reader: &mut impl Reader) -> (i64, Option<Mark>) {
    let (mut rows, mut mark) = (0, None);
    while let Some(page) = reader.next_page(PAGE).await.unwrap() {
        rows += page.len() as i64;
        mark = page.last_seq().map(|seq| Mark {
            window: page.window(),
            seq,
        });
    }
    (rows, mark)
}

async fn settle_all(reader: &mut impl Reader) -> i64 {
    let (rows, mark) = read_all(reader).await;
    if let Some(mark) = mark {
        reader.persist(mark).await.unwrap();
    }
    rows
}

/// The tables with their rows, by a connection that ends: an index that is built reads all rows, which counts when the
/// connection has added to the counters.
async fn fill(options: &PgConnectOptions) {
    let options = options.clone().application_name(FILLING);
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    migrate(&pool, &Tables::default()).await.unwrap();
    // The index is made after the rows: the test is about reading.
    sqlx::query("DROP INDEX outbox_messages_xid_seq_idx")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query(INSERT).bind(rows()).execute(&pool).await.unwrap();
    sqlx::query("CREATE INDEX outbox_messages_xid_seq_idx ON outbox_messages (xid, seq)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_costs_what_it_returns() {
    let server = PostgresServer::start_with(
        PostgresVersion::Distribution,
        &[
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("autovacuum", "off"),
            ("max_wal_size", "4GB"),
        ],
    )
    .await;
    let options: PgConnectOptions = server.url().parse().unwrap();
    fill(&options).await;
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect_with(options.clone())
        .await
        .unwrap();
    for plans in ["force_custom_plan", "force_generic_plan"] {
        let store = PostgresStore::with_options(options.clone().options([("plan_cache_mode", plans)]));
        let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM outbox_cursor")
            .fetch_one(&pool)
            .await
            .unwrap();
        let mut log = Log {
            pool: pool.clone(),
            store,
            epoch,
        };
        eprintln!("plans: {plans}");
        the_first_page_of_a_long_log(&mut log).await;
        windows_at_the_end_of_a_long_log(&mut log).await;
        a_late_transaction_of_a_million_rows(&mut log, plans).await;
        a_bulk_load_that_is_still_open(&mut log).await;
        a_start_after_many_transactions(&mut log).await;
    }
}

/// A window over all rows opens, and its first page is read.
async fn the_first_page_of_a_long_log(log: &mut Log) {
    sqlx::query(
        "UPDATE outbox_cursor SET from_snapshot = NULL, high = 0, xid_bound = NULL, to_snapshot = NULL",
    )
    .execute(&log.pool)
    .await
    .unwrap();
    let touched = log
        .touched(async |reader| {
            let page = reader.next_page(PAGE).await.unwrap().expect("there are rows");
            assert_eq!(page.len(), PAGE.rows);
        })
        .await;
    assert!(
        touched < 3 * PAGE.rows as i64,
        "a page of {} rows went through {touched}",
        PAGE.rows
    );
    log.skip_all().await;
}

/// Small transactions, one after the other, as in normal running.
async fn windows_at_the_end_of_a_long_log(log: &mut Log) {
    let pool = log.pool.clone();
    let touched = log
        .touched(async |reader| {
            for _ in 0..50 {
                sqlx::query(INSERT).bind(3_i64).execute(&pool).await.unwrap();
                assert_eq!(settle_all(reader).await, 3);
            }
        })
        .await;
    assert!(touched < 5_000, "50 windows of 3 rows went through {touched}");
}

/// A transaction that wrote a tenth of the rows commits after its neighbours were relayed. It had its id before
/// the cursor's snapshot, and stands in no list of it: nothing later had finished.
async fn a_late_transaction_of_a_million_rows(log: &mut Log, plans: &str) {
    for in_the_list in [false, true] {
        let mut late = log.pool.begin().await.unwrap();
        sqlx::query(INSERT)
            .bind(late_rows())
            .execute(&mut *late)
            .await
            .unwrap();
        if in_the_list {
            log.insert(1).await;
        }
        let mut reader = log.reader().await;
        // A cursor that was written while the transaction was open.
        log.insert(1).await;
        assert!(settle_all(&mut reader).await >= 1);
        drop(reader);
        late.commit().await.unwrap();
        let mut took = Duration::ZERO;
        let touched = log
            .touched(async |reader| {
                let start = Instant::now();
                let page = reader
                    .next_page(PAGE)
                    .await
                    .unwrap()
                    .expect("there are late rows");
                took = start.elapsed();
                assert_eq!(page.len(), PAGE.rows);
            })
            .await;
        eprintln!(
            "a late transaction of {} rows: window and first page in {took:?}",
            late_rows()
        );
        assert!(
            touched < 5 * PAGE.rows as i64,
            "a page of {} late rows went through {touched}",
            PAGE.rows
        );
        // The rest of them once, with the plans that are more likely to go wrong.
        if in_the_list || plans == "force_custom_plan" {
            log.skip_all().await;
            continue;
        }
        let mut rows = 0;
        let touched = log.touched(async |reader| rows = settle_all(reader).await).await;
        assert_eq!(rows, late_rows());
        assert!(touched < 5 * rows, "{rows} late rows went through {touched}");
    }
}

/// An idle relay beside a bulk load does not walk through it at each look.
async fn a_bulk_load_that_is_still_open(log: &mut Log) {
    let mut open = log.pool.begin().await.unwrap();
    sqlx::query(INSERT)
        .bind(late_rows())
        .execute(&mut *open)
        .await
        .unwrap();
    let mut reader = log.reader().await;
    log.insert(1).await;
    assert_eq!(settle_all(&mut reader).await, 1);
    drop(reader);
    let pool = log.pool.clone();
    let touched = log
        .touched(async |reader| {
            for _ in 0..50 {
                sqlx::query(INSERT).bind(1_i64).execute(&pool).await.unwrap();
                assert_eq!(settle_all(reader).await, 1);
            }
        })
        .await;
    assert!(
        touched < 5_000,
        "50 windows of one row beside a bulk load went through {touched}"
    );
    open.rollback().await.unwrap();
}

/// A relay that was away while many small transactions wrote: its first window finds no late rows among them,
/// and does not look at each.
async fn a_start_after_many_transactions(log: &mut Log) {
    let mut reader = log.reader().await;
    log.insert(1).await;
    assert_eq!(settle_all(&mut reader).await, 1);
    drop(reader);
    let many = "DO $$ BEGIN FOR i IN 1..20000 LOOP
                  INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', 'k', 'OrderPlacedV1', 'orders', '{}');
                  COMMIT;
                END LOOP; END $$";
    sqlx::raw_sql(many).execute(&log.pool).await.unwrap();
    let touched = log
        .touched(async |reader| {
            let page = reader.next_page(PAGE).await.unwrap().expect("there are rows");
            assert_eq!(page.len(), PAGE.rows);
        })
        .await;
    assert!(
        touched < 3 * PAGE.rows as i64,
        "a page of {} rows went through {touched}",
        PAGE.rows
    );
    let mut reader = log.reader().await;
    assert_eq!(settle_all(&mut reader).await, 20_000);
}

/// Blocks of the cursor's table that the server went through, by connections that have ended.
async fn cursor_blocks(log: &mut Log, writes: u32) -> i64 {
    const BLOCKS: &str = "SELECT coalesce(heap_blks_hit + heap_blks_read, 0) FROM pg_statio_user_tables
                          WHERE relname = 'outbox_cursor'";
    log.no_reader().await;
    let before: i64 = sqlx::query_scalar(BLOCKS).fetch_one(&log.pool).await.unwrap();
    let mut reader = log.reader().await;
    for _ in 0..writes {
        log.insert(1).await;
        assert_eq!(settle_all(&mut reader).await, 1);
    }
    drop(reader);
    log.no_reader().await;
    let after: i64 = sqlx::query_scalar(BLOCKS).fetch_one(&log.pool).await.unwrap();
    after - before
}

/// The row has thousands of versions that a snapshot holds. The newest one is found without a look at the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_written_at_the_same_cost_under_a_snapshot_that_is_held() {
    let database = TestDatabase::postgres().await;
    let mut log = Log {
        pool: database.pool.clone(),
        store: PostgresStore::new(&database.pool),
        epoch: 0,
    };
    let mut held = database
        .pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await
        .unwrap();
    sqlx::query("SELECT FROM outbox_cursor")
        .execute(&mut *held)
        .await
        .unwrap();
    let versions =
        "DO $$ BEGIN FOR i IN 1..5000 LOOP UPDATE outbox_cursor SET updated_at = now(); END LOOP; END $$";
    // By a connection that ends: it adds the blocks of its own updates to the counters then, not in between.
    let filling = (*database.pool.connect_options()).clone();
    let mut filling = filling.application_name(FILLING).connect().await.unwrap();
    sqlx::raw_sql(versions).execute(&mut filling).await.unwrap();
    filling.close().await.unwrap();
    let size: i64 = sqlx::query_scalar("SELECT pg_relation_size('outbox_cursor') / 8192")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(size > 50, "{size} blocks");
    let (few, many) = (
        cursor_blocks(&mut log, 1).await,
        cursor_blocks(&mut log, 21).await,
    );
    let each = (many - few) / 20;
    assert!((1..10).contains(&each), "{each} of {size} blocks for each write");
    held.rollback().await.unwrap();
}
