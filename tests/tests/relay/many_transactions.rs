//! A relay that comes back after many transactions: finding those that are late costs what was running when it
//! stopped, whatever was written since. The server's own counters say what its scans went through.

use std::sync::atomic::{AtomicI64, Ordering};

use outbox_runtime::PostgresStore;
use outbox_runtime::store::{Fence, Generations, Mark, PageLimit, Reader, Store};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::log::LIMIT;

type PostgresReader = <PostgresStore as Store>::Reader;

const PAGE: PageLimit = PageLimit {
    rows: 100,
    bytes: 1 << 20,
};

/// More than the search looks at in one statement, several times over.
const MANY: i64 = 60_000;

struct Log {
    database: TestDatabase<Postgres>,
    store: PostgresStore,
    epoch: AtomicI64,
}

impl Log {
    async fn new() -> Self {
        let database = TestDatabase::postgres().await;
        Self {
            store: PostgresStore::new(&database.pool),
            database,
            epoch: AtomicI64::new(0),
        }
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn reader(&self) -> PostgresReader {
        let fence = Fence {
            epoch: self.epoch.fetch_add(1, Ordering::Relaxed) + 1,
            token: Uuid::new_v4(),
        };
        self.store.open_reader(fence).await.unwrap()
    }

    async fn insert(&self, rows: i64) {
        insert(&mut self.pool().acquire().await.unwrap(), rows).await;
    }

    /// A transaction that has written one row and is open. It is in the list of later snapshots only if another
    /// one finishes after it began.
    async fn late(&self) -> Transaction<'static, Postgres> {
        let mut transaction = self.pool().begin().await.unwrap();
        insert(&mut transaction, 1).await;
        transaction
    }

    async fn many(&self, transactions: i64) {
        let many = format!(
            "DO $$ BEGIN FOR i IN 1..{transactions} LOOP
               INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
               VALUES ('order', 'k', 'OrderPlacedV1', 'orders', '{{}}');
               COMMIT;
             END LOOP; END $$"
        );
        let mut connection = self.pool().acquire().await.unwrap().detach();
        sqlx::query("SET synchronous_commit = off")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(many))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// How many index entries and rows the server went through for readers that come and go meanwhile.
    async fn touched(&self, work: impl AsyncFnOnce()) -> i64 {
        let before = self.counters().await;
        work().await;
        self.counters().await - before
    }

    /// As [`touched`](Self::touched), for the page of the late row.
    async fn touched_by_late_row(&self) -> i64 {
        self.touched(async || {
            let mut reader = self.reader().await;
            assert_eq!(page(&mut reader, 0).await.0, [2], "the late row");
        })
        .await
    }

    /// The counters come with the end of a connection.
    async fn counters(&self) -> i64 {
        let gone = "SELECT count(*) FROM pg_stat_activity
                    WHERE application_name = 'outbox-relay' AND datname = current_database()";
        wait_until("the reader's connection to end", LIMIT, async || {
            let left: i64 = sqlx::query_scalar(gone).fetch_one(self.pool()).await.unwrap();
            (left == 0).then_some(())
        })
        .await;
        let counters = "SELECT (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                                WHERE relname = 'outbox_messages')
                             + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'outbox_messages')";
        sqlx::query_scalar(counters).fetch_one(self.pool()).await.unwrap()
    }

    async fn scalar(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what).fetch_one(self.pool()).await.unwrap()
    }
}

async fn insert(connection: &mut sqlx::PgConnection, rows: i64) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  SELECT 'order', 'k', 'OrderPlacedV1', 'orders', '{}' FROM generate_series(1, $1::bigint)";
    sqlx::query(insert).bind(rows).execute(connection).await.unwrap();
}

/// The seqs of the next page, and the mark of its row at this place.
async fn page(reader: &mut PostgresReader, place: usize) -> (Vec<i64>, Mark) {
    let page = reader.next_page(PAGE).await.unwrap().expect("there are rows");
    let seqs: Vec<i64> = page.iter().map(|record| record.seq).collect();
    let mark = Mark {
        window: page.window(),
        seq: seqs[place],
    };
    (seqs, mark)
}

async fn all(reader: &mut PostgresReader) -> Vec<i64> {
    let mut seqs = Vec::new();
    while let Some(page) = reader.next_page(PAGE).await.unwrap() {
        seqs.extend(page.iter().map(|record| record.seq));
    }
    seqs
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    AtLeastOnce,
    ExactlyOnce,
}

/// A relay stops in the middle of a window. Of the transactions that run then, one is in the list of the window's
/// upper edge, and one is not: nothing that began later has finished.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_left_open_is_followed_by_one_that_looks_at_what_was_running() {
    for mode in [Mode::AtLeastOnce, Mode::ExactlyOnce] {
        let log = Log::new().await;
        log.insert(10).await;
        let listed = log.late().await;
        log.insert(1).await;
        let unlisted = log.late().await;
        let mut reader = log.reader().await;
        let (seqs, mark) = page(&mut reader, 5).await;
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]);
        if mode == Mode::ExactlyOnce {
            reader.begin_generations(1).await.unwrap();
            reader.begin_window(mark.window, 1).await.unwrap();
        }
        reader.persist(mark).await.unwrap();
        drop(reader);
        let open = "SELECT count(*) FROM outbox_cursor WHERE to_snapshot IS NOT NULL";
        assert_eq!(log.scalar(open).await, 1, "no window was left open");
        log.many(MANY).await;
        listed.commit().await.unwrap();
        unlisted.commit().await.unwrap();

        let touched = log
            .touched(async || {
                let mut reader = log.reader().await;
                let rest = page(&mut reader, 0).await.0;
                assert_eq!(rest, [7, 8, 9, 10, 12], "the rest of the window");
                let late = page(&mut reader, 0).await.0;
                assert_eq!(late, [11, 13], "late rows, before the new ones");
                let new = page(&mut reader, 0).await.0;
                assert_eq!(new, (14..114).collect::<Vec<_>>());
            })
            .await;
        assert!(
            touched < 1_000,
            "{mode:?}: three pages went through {touched} rows and index entries"
        );
        let mut reader = log.reader().await;
        assert_eq!(all(&mut reader).await.len() as i64, 7 + MANY, "{mode:?}");
    }
}

/// A relay that works off a long window while much is written: the next window is no search through it either.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_took_long_is_followed_by_one_that_looks_at_what_was_running() {
    let log = Log::new().await;
    log.insert(10).await;
    let unlisted = log.late().await;
    let touched = log
        .touched(async || {
            let mut reader = log.reader().await;
            assert_eq!(page(&mut reader, 0).await.0.len(), 10);
            log.many(MANY).await;
            unlisted.commit().await.unwrap();
            assert_eq!(page(&mut reader, 0).await.0, [11], "the late row");
            assert_eq!(page(&mut reader, 0).await.0, (12..112).collect::<Vec<_>>());
        })
        .await;
    assert!(
        touched < 1_000,
        "three pages went through {touched} rows and index entries"
    );
}

/// The server counts savepoints as transactions, and they are no reason for a long list.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_with_thousands_of_savepoints_is_listed_once() {
    let _alone = TRANSACTION_IDS.lock().await;
    let log = Log::new().await;
    log.insert(1).await;
    let mut late = log.late().await;
    let savepoints = "CREATE TEMP TABLE scratch (number int) ON COMMIT DROP;
         DO $$ BEGIN FOR i IN 1..20000 LOOP
           BEGIN INSERT INTO scratch VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END;
         END LOOP; END $$";
    sqlx::raw_sql(savepoints).execute(&mut *late).await.unwrap();
    let mut reader = log.reader().await;
    let (seqs, mark) = page(&mut reader, 0).await;
    assert_eq!(seqs, [1]);
    assert!(reader.next_page(PAGE).await.unwrap().is_none());
    reader.persist(mark).await.unwrap();
    let listed = "SELECT count(*) FROM outbox_cursor, pg_snapshot_xip(from_snapshot)";
    let listed = log.scalar(listed).await;
    // Other tests' savepoints may be among them.
    assert!(listed < 10_000, "{listed} transactions are listed");
    late.commit().await.unwrap();
    assert_eq!(all(&mut reader).await, [2], "the late row");
}

/// A cursor that an earlier version of the library wrote: its edges do not list all that was running.
const WRITTEN_EARLIER: &str =
    "UPDATE outbox_cursor SET from_snapshot = pg_current_snapshot(), xid_bound = NULL,
     high = (SELECT last_value FROM outbox_messages_seq_seq)";

/// Held by tests that take very many transaction ids, or count how many of theirs a step looks at: the server has one
/// sequence of ids for all.
static TRANSACTION_IDS: Mutex<()> = Mutex::const_new(());

/// The search goes in steps, and a connection that breaks does not take it back to its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_was_interrupted_goes_on_where_it_was() {
    let _alone = TRANSACTION_IDS.lock().await;
    let log = Log::new().await;
    log.insert(1).await;
    let late = log.late().await;
    sqlx::query(WRITTEN_EARLIER).execute(log.pool()).await.unwrap();
    log.many(MANY).await;
    late.commit().await.unwrap();

    let mut reader = log.reader().await;
    let searching = tokio::spawn(async move { reader.next_page(PAGE).await.map(drop) });
    // A statement that is being carried out has locked the index, and one that is being prepared has not.
    let pid = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
               WHERE application_name = 'outbox-relay' AND relation = 'outbox_messages_xid_seq_idx'::regclass
               AND granted AND datname = current_database()";
    let pid: i32 = wait_until("the search to begin", LIMIT, async || {
        let found = sqlx::query_scalar(pid).fetch_optional(log.pool()).await;
        found.unwrap()
    })
    .await;
    // It is granted when this step has ended, and the next one waits for it.
    let mut lock = log.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE outbox_messages IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted";
    wait_until("the next step to wait", LIMIT, async || {
        let waiting: i64 = sqlx::query_scalar(waits)
            .bind(pid)
            .fetch_one(log.pool())
            .await
            .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(log.pool())
        .await
        .unwrap();
    assert!(searching.await.unwrap().is_err(), "its connection is gone");
    lock.rollback().await.unwrap();

    let on = log.touched_by_late_row().await;
    let log = Log {
        store: PostgresStore::new(log.pool()),
        ..log
    };
    let anew = log.touched_by_late_row().await;
    // Other tests take transaction ids too, so a step has fewer of these transactions than it looks at.
    assert!(
        on + 100 < anew,
        "it began anew: it went through {on}, and from the beginning through {anew}"
    );
    let mut reader = log.reader().await;
    assert_eq!(all(&mut reader).await.len() as i64, 1 + MANY);
}

/// The state of a log is read within milliseconds: where it would need a long search, it is an estimate.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_needs_a_long_search_is_estimated() {
    let _alone = TRANSACTION_IDS.lock().await;
    let log = Log::new().await;
    log.insert(1).await;
    sqlx::query(WRITTEN_EARLIER).execute(log.pool()).await.unwrap();
    let mut much = log.late().await;
    let savepoints = "CREATE TEMP TABLE scratch (number int) ON COMMIT DROP;
         DO $$ BEGIN FOR i IN 1..120000 LOOP
           BEGIN INSERT INTO scratch VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END;
         END LOOP; END $$";
    sqlx::raw_sql(savepoints).execute(&mut *much).await.unwrap();
    much.commit().await.unwrap();
    let backlog = log.store.status().await.unwrap().backlog;
    assert_eq!((backlog.messages, backlog.exact), (1, false));

    let mut reader = log.reader().await;
    let (seqs, mark) = page(&mut reader, 0).await;
    assert_eq!(seqs, [2]);
    assert!(reader.next_page(PAGE).await.unwrap().is_none());
    reader.persist(mark).await.unwrap();
    let backlog = log.store.status().await.unwrap().backlog;
    assert_eq!((backlog.messages, backlog.exact), (0, true));
}
