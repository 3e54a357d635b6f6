//! What PostgreSQL's catalog says.

use sqlx::PgConnection;

use super::{Column, IDENTITY, Index, Table, plain};
use crate::Tables;

/// The tables with these suffixes, as far as they are there.
pub(in crate::schema) async fn read(
    connection: &mut PgConnection,
    tables: &Tables,
    suffixes: &[String],
) -> sqlx::Result<Vec<Table>> {
    let names: Vec<String> = suffixes.iter().map(|suffix| tables.quoted(suffix)).collect();
    let mut found: Vec<Table> = Vec::new();

    type ColumnRow = (String, String, String, bool, bool, bool, Option<String>);
    let columns: Vec<ColumnRow> = sqlx::query_as(
        "SELECT wanted.suffix, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                a.attidentity <> '', a.attstorage = 'e', pg_get_expr(d.adbin, d.adrelid)
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(wanted.name)
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY wanted.suffix, a.attnum",
    )
    .bind(suffixes)
    .bind(&names)
    .fetch_all(&mut *connection)
    .await?;
    for (suffix, name, kind, required, identity, uncompressed, default) in columns {
        if found.last().is_none_or(|table| table.suffix != suffix) {
            found.push(Table {
                suffix,
                ..Table::default()
            });
        }
        let column = Column {
            name,
            kind,
            required,
            default: default.as_deref().map(plain),
            numbered: identity.then_some(IDENTITY),
            uncompressed,
        };
        if let Some(table) = found.last_mut() {
            table.columns.push(column);
        }
    }

    type IndexRow = (String, bool, Vec<String>, Option<String>);
    let indexes: Vec<IndexRow> = sqlx::query_as(
        "SELECT wanted.suffix, i.indisunique,
                array(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts::int) AS n),
                pg_get_expr(i.indpred, i.indrelid)
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_index i ON i.indrelid = to_regclass(wanted.name)
         WHERE i.indisvalid",
    )
    .bind(suffixes)
    .bind(&names)
    .fetch_all(&mut *connection)
    .await?;
    for (suffix, unique, columns, predicate) in indexes {
        let index = Index {
            columns: columns
                .iter()
                .map(|column| column.trim_matches('"').to_owned())
                .collect(),
            unique,
            predicate: predicate.as_deref().map(plain),
        };
        if let Some(table) = found.iter_mut().find(|table| table.suffix == suffix) {
            table.indexes.push(index);
        }
    }

    let checks: Vec<(String, String)> = sqlx::query_as(
        "SELECT wanted.suffix, c.conname::text
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_constraint c ON c.conrelid = to_regclass(wanted.name)
         WHERE c.contype = 'c'",
    )
    .bind(suffixes)
    .bind(&names)
    .fetch_all(connection)
    .await?;
    for (suffix, check) in checks {
        if let Some(table) = found.iter_mut().find(|table| table.suffix == suffix) {
            table.checks.push(check);
        }
    }
    Ok(found)
}
