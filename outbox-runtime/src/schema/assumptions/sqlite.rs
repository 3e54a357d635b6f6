//! What SQLite's schema has to say.

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::schema::{Finding, Severity, Tables};

/// Triggers that are called before a row is written: one may drop it without a word (`RAISE(IGNORE)`).
pub(in crate::schema) async fn broken(
    connection: &mut SqliteConnection,
    tables: &Tables,
) -> sqlx::Result<Vec<Finding>> {
    let schema = tables.schema().unwrap_or("main");
    let mut findings = Vec::new();
    for suffix in ["messages", "cursor", "lease", "dead_letters", "inbox"] {
        let triggers: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT name, sql FROM \"{schema}\".sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = ?"
        )))
        .bind(tables.bare(suffix))
        .fetch_all(&mut *connection)
        .await?;
        let written = match suffix {
            "cursor" | "lease" => "UPDATE",
            _ => "INSERT",
        };
        // What stands before the body; without AFTER it is called before.
        let is_before = |sql: &str| {
            let upper = sql.to_ascii_uppercase();
            let head = upper.split("BEGIN").next().unwrap_or_default();
            let has = |wanted| head.split_whitespace().any(|word| word == wanted);
            has(written) && !has("AFTER")
        };
        findings.extend(
            triggers
                .into_iter()
                .filter(|(_, sql)| is_before(sql))
                .map(|(name, _)| Finding {
                    severity: Severity::Warning,
                    table: tables.bare(suffix),
                    object: format!("trigger {name}"),
                    expected: "absent, or called after it: one that ignores a row drops it without a word"
                        .to_owned(),
                    found: Some("called before each row is written".to_owned()),
                    mend: Some(format!("DROP TRIGGER \"{schema}\".\"{name}\"")),
                }),
        );
    }
    Ok(findings)
}
