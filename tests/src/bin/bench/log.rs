//! A log full of messages, made by the server itself.

use outbox_runtime::Tables;
use sqlx::{AssertSqlSafe, PgPool};

/// Empties the log and fills it with `messages` of 512 payload bytes and 1,000 keys, for one topic after the other.
pub(crate) async fn fill(pool: &PgPool, topics: &[String], messages: u64) {
    let tables = Tables::default();
    let reset = format!(
        "SET outbox.allow_delete_undelivered = on; TRUNCATE {log}; RESET outbox.allow_delete_undelivered; UPDATE {cursor} SET from_snapshot = NULL, high = 0, xid_bound = NULL, to_snapshot = NULL,
         high_to = NULL, position = NULL, generation = NULL",
        log = tables.messages(),
        cursor = tables.cursor()
    );
    sqlx::raw_sql(AssertSqlSafe(reset))
        .execute(pool)
        .await
        .expect("the log can be emptied");
    let insert = format!(
        "INSERT INTO {} (aggregate_type, aggregate_id, event_type, topic, payload)
         SELECT 'order', 'customer-' || i % 1000, 'OrderPlacedV1', $1[1 + i % cardinality($1)],
                ('{{\"number\":' || lpad(i::text, 12) || ',\"filler\":\"' || repeat('x', 475) || '\"}}')::json
         FROM generate_series(1, $2::bigint) i",
        tables.messages()
    );
    sqlx::query(AssertSqlSafe(insert))
        .bind(topics)
        .bind(messages as i64)
        .execute(pool)
        .await
        .expect("the log can be filled");
}

/// The name of a pool's database.
pub(crate) async fn database(pool: &PgPool) -> String {
    let name = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(pool)
        .await;
    name.expect("it has a name")
}
