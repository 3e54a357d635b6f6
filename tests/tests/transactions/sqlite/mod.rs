//! SQLite.

use outbox_runtime::Outbox;
use outbox_tests::TestDatabase;
use sqlx::Executor;

#[path = "../both/mod.rs"]
mod both;
mod ended;
mod retry;
mod stored;

pub(crate) type Db = sqlx::Sqlite;

/// An expression for that time.
pub(crate) const TWO_DAYS_AGO: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')";

/// A shop with at most so many connections.
pub(crate) async fn open_with(connections: u32) -> (TestDatabase<Db>, Outbox<Db>) {
    let database = TestDatabase::sqlite_with(connections).await;
    database.pool.execute(crate::shop::ORDERS).await.unwrap();
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}

/// A trigger that drops the event of order 13.
pub(crate) const LEAVES_OUT_THE_13TH: &str = "CREATE TRIGGER leaves_out BEFORE INSERT ON outbox_messages
    WHEN NEW.aggregate_id = '13' BEGIN SELECT RAISE(IGNORE); END";
