//! The writers' business table: what their transactions did beside emitting, written by the same transactions.
//!
//! It is what deliveries are compared with: the row and the event, or neither.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use sqlx::{Executor, PgConnection, PgPool, Row};
use uuid::Uuid;

use super::event::Event;

/// Makes the table, if it is not there.
pub(super) async fn create(pool: &PgPool) -> sqlx::Result<()> {
    pool.execute(
        "CREATE TABLE IF NOT EXISTS business \
         (id uuid PRIMARY KEY, run bigint NOT NULL, topic text NOT NULL, value bigint NOT NULL)",
    )
    .await
    .map(drop)
}

/// A row for each event, in the transaction that the connection is in.
pub(super) async fn insert(connection: &mut PgConnection, run: u64, events: &[Event]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO business (id, run, topic, value) \
         SELECT id, $4, topic, value FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS event (id, topic, value)",
    )
    .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.topic.clone()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| digest(event.value.bytes())).collect::<Vec<_>>())
    .bind(run as i64)
    .execute(connection)
    .await
    .map(drop)
}

/// All that a run's transactions did.
pub(super) async fn of_run(pool: &PgPool, run: u64) -> sqlx::Result<HashSet<Uuid>> {
    let rows = sqlx::query_scalar("SELECT id FROM business WHERE run = $1").bind(run as i64);
    Ok(rows.fetch_all(pool).await?.into_iter().collect())
}

/// What any run's transactions did with one of these ids: the topic, and the value's digest.
pub async fn recorded(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, String, i64)>> {
    let rows = sqlx::query("SELECT id, topic, value FROM business WHERE id = ANY($1)").bind(ids);
    let rows = rows.fetch_all(pool).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}

/// Stands for a value in the table.
pub fn digest(value: Option<&[u8]>) -> i64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() as i64
}
