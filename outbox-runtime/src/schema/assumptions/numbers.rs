//! The messages' numbers beside the sequence that gives them out.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::schema::{Finding, Severity, Tables};

/// Numbers that are no more to be given out, or are never read. A role that may not read the messages gets no finding.
pub(super) async fn broken(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<Vec<Finding>> {
    let messages = tables.messages();
    let may_read: Option<bool> = sqlx::query_scalar(
        "SELECT has_column_privilege(c.oid, a.attnum, 'SELECT') AND NOT row_security_active(c.oid)
                AND has_sequence_privilege(pg_get_serial_sequence($1, 'seq'), 'SELECT')
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'seq'
         WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p') AND NOT a.attisdropped",
    )
    .bind(&messages)
    .fetch_optional(&mut *connection)
    .await?
    .flatten();
    if may_read != Some(true) {
        return Ok(Vec::new());
    }
    // The sequence is read as it is when the statement runs, after the statement's snapshot: writers that go on
    // meanwhile make no row visible whose number it does not know.
    let look = format!(
        "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('{messages}', 'seq')::regclass), 0),
                (SELECT seq FROM {messages} ORDER BY seq DESC LIMIT 1), (SELECT seq FROM {messages} WHERE seq < 1 ORDER BY seq LIMIT 1)"
    );
    let (last, highest, below_one): (i64, Option<i64>, Option<i64>) =
        sqlx::query_as(AssertSqlSafe(look)).fetch_one(connection).await?;
    let finding = |severity, object: &str, expected: &str, found: String, mend| Finding {
        severity,
        table: tables.bare("messages"),
        object: object.to_owned(),
        expected: expected.to_owned(),
        found: Some(found),
        mend: Some(mend),
    };
    let behind = highest.filter(|highest| *highest > last).map(|highest| {
        finding(
            Severity::Warning,
            "the sequence behind seq",
            "at or above the highest seq of a message: inserts will fail when it comes to those that are there",
            format!("at {last}, below the message {highest}"),
            format!("SELECT setval(pg_get_serial_sequence('{messages}', 'seq'), {highest})"),
        )
    });
    let below_one = below_one.map(|seq| {
        finding(
            Severity::Error,
            "the lowest seq of a message",
            "at least 1: others are never read",
            seq.to_string(),
            format!("UPDATE {messages} SET seq = DEFAULT WHERE seq < 1"),
        )
    });
    Ok(behind.into_iter().chain(below_one).collect())
}
