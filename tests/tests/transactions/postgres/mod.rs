//! PostgreSQL.

use outbox_runtime::Outbox;
use outbox_tests::TestDatabase;
use sqlx::Executor;

mod begin;
#[path = "../both/mod.rs"]
mod both;
mod inbox;
mod isolation;
mod retry;
mod stored;
mod swallowed;
mod unknown_outcome;

pub(crate) type Db = sqlx::Postgres;

/// An expression for that time.
pub(crate) const TWO_DAYS_AGO: &str = "now() - interval '2 days'";

/// A shop with at most so many connections.
pub(crate) async fn open_with(connections: u32) -> (TestDatabase<Db>, Outbox<Db>) {
    let database = TestDatabase::postgres_with(connections).await;
    database.pool.execute(crate::shop::ORDERS).await.unwrap();
    let outbox = Outbox::new(database.pool.clone());
    (database, outbox)
}

/// A trigger that drops the event of order 13.
pub(crate) const LEAVES_OUT_THE_13TH: &str = "
    CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.aggregate_id = '13' THEN RETURN NULL; END IF; RETURN NEW; END $$;
    CREATE TRIGGER leaves_out BEFORE INSERT ON outbox_messages FOR EACH ROW EXECUTE FUNCTION leave_out()";
