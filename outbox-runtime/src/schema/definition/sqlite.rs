//! What SQLite says of its tables.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{AUTOINCREMENT, Column, Index, Table, Trigger, plain};
use crate::Tables;

/// The tables with these suffixes, as far as they are there.
pub(in crate::schema) async fn read(
    connection: &mut SqliteConnection,
    tables: &Tables,
    suffixes: &[String],
) -> sqlx::Result<Vec<Table>> {
    let schema = tables.schema().unwrap_or("main");
    let mut found = Vec::new();
    for suffix in suffixes {
        let name = tables.bare(suffix);
        let sql: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT sql FROM \"{schema}\".sqlite_master WHERE type = 'table' AND name = ?"
        )))
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(sql) = sql else { continue };
        let sql = without_comments(&sql);
        let (columns, key) = columns(connection, schema, &name, &sql).await?;
        let mut indexes = indexes(connection, schema, &name).await?;
        // A key of one integer needs no index.
        indexes.push(Index {
            columns: key,
            unique: true,
            predicate: None,
        });
        found.push(Table {
            suffix: suffix.clone(),
            columns,
            indexes,
            checks: constraints(&sql),
            triggers: triggers(connection, schema, &name).await?,
        });
    }
    Ok(found)
}

/// The columns, and the names of those that are the primary key.
async fn columns(
    connection: &mut SqliteConnection,
    schema: &str,
    table: &str,
    sql: &str,
) -> sqlx::Result<(Vec<Column>, Vec<String>)> {
    let rows: Vec<(String, String, bool, Option<String>, i64)> = sqlx::query_as(
        "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?, ?) ORDER BY cid",
    )
    .bind(table)
    .bind(schema)
    .fetch_all(connection)
    .await?;
    let hands_out_once = sql.to_ascii_uppercase().contains(" AUTOINCREMENT");
    let mut key: Vec<_> = rows.iter().filter(|(.., pk)| *pk > 0).collect();
    key.sort_by_key(|(.., pk)| *pk);
    let key = key.into_iter().map(|(name, ..)| name.clone()).collect();
    let columns = rows
        .into_iter()
        .map(|(name, kind, required, default, pk)| Column {
            name,
            kind,
            required: required || pk > 0,
            default: default.as_deref().map(plain),
            numbered: (hands_out_once && pk > 0).then_some(AUTOINCREMENT),
            uncompressed: false,
        });
    Ok((columns.collect(), key))
}

async fn indexes(connection: &mut SqliteConnection, schema: &str, table: &str) -> sqlx::Result<Vec<Index>> {
    let listed: Vec<(String, bool, Option<String>)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT list.name, list.\"unique\", made.sql FROM pragma_index_list(?, ?) AS list
         LEFT JOIN \"{schema}\".sqlite_master AS made ON made.type = 'index' AND made.name = list.name"
    )))
    .bind(table)
    .bind(schema)
    .fetch_all(&mut *connection)
    .await?;
    let mut indexes = Vec::new();
    for (name, unique, sql) in listed {
        let columns = "SELECT coalesce(name, '') FROM pragma_index_info(?, ?) ORDER BY seqno";
        let columns = sqlx::query_scalar(columns).bind(name).bind(schema);
        let predicate = sql.as_deref().and_then(|sql| sql.split_once("WHERE "));
        indexes.push(Index {
            columns: columns.fetch_all(&mut *connection).await?,
            unique,
            // SQLite keeps the statement with the comment that follows it.
            predicate: predicate
                .map(|(_, predicate)| plain(predicate.split("--").next().unwrap_or_default())),
        });
    }
    Ok(indexes)
}

async fn triggers(
    connection: &mut SqliteConnection,
    schema: &str,
    table: &str,
) -> sqlx::Result<Vec<Trigger>> {
    let names: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT name FROM \"{schema}\".sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
    )))
    .bind(table)
    .fetch_all(connection)
    .await?;
    let trigger = |name| Trigger {
        name,
        ..Trigger::default()
    };
    Ok(names.into_iter().map(trigger).collect())
}

/// SQLite keeps a statement as it was written.
fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The names of the constraints in the statement that made a table; the only place where SQLite keeps them.
fn constraints(sql: &str) -> Vec<String> {
    let named = sql.split("CONSTRAINT \"").skip(1);
    named
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect()
}
