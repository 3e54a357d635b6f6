//! What PostgreSQL's catalog says.

use sqlx::PgConnection;

use super::{Column, IDENTITY, IDENTITY_BY_DEFAULT, Index, Table, Trigger, plain};
use crate::Tables;

/// The tables with these suffixes, as far as they are there.
pub(in crate::schema) async fn read(
    connection: &mut PgConnection,
    tables: &Tables,
    suffixes: &[String],
) -> sqlx::Result<Vec<Table>> {
    let names: Vec<String> = suffixes.iter().map(|suffix| tables.quoted(suffix)).collect();
    let mut found: Vec<Table> = Vec::new();
    for (suffix, column) in columns(connection, suffixes, &names).await? {
        if found.last().is_none_or(|table| table.suffix != suffix) {
            found.push(Table {
                suffix,
                ..Table::default()
            });
        }
        if let Some(table) = found.last_mut() {
            table.columns.push(column);
        }
    }
    let indexes = indexes(connection, suffixes, &names).await?;
    let checks = checks(connection, suffixes, &names).await?;
    let triggers = triggers(connection, suffixes, &names).await?;
    for table in &mut found {
        let of_table = |suffix: &String| *suffix == table.suffix;
        table.indexes.extend(
            indexes
                .iter()
                .filter(|(of, _)| of_table(of))
                .map(|(_, index)| index.clone()),
        );
        table.checks.extend(
            checks
                .iter()
                .filter(|(of, _)| of_table(of))
                .map(|(_, check)| check.clone()),
        );
        table.triggers.extend(
            triggers
                .iter()
                .filter(|(of, _)| of_table(of))
                .map(|(_, trigger)| trigger.clone()),
        );
    }
    Ok(found)
}

/// The columns of each table.
async fn columns(
    connection: &mut PgConnection,
    suffixes: &[String],
    names: &[String],
) -> sqlx::Result<Vec<(String, Column)>> {
    type Row = (String, String, String, bool, String, bool, Option<String>);
    let columns: Vec<Row> = sqlx::query_as(
        "SELECT wanted.suffix, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                a.attidentity::text, a.attstorage = 'e', pg_get_expr(d.adbin, d.adrelid)
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass(wanted.name)
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY wanted.suffix, a.attnum",
    )
    .bind(suffixes)
    .bind(names)
    .fetch_all(connection)
    .await?;
    let column = |(suffix, name, kind, required, identity, uncompressed, default): Row| {
        let column = Column {
            name,
            kind,
            required,
            default: default.as_deref().map(plain),
            numbered: match identity.as_str() {
                "a" => Some(IDENTITY),
                "d" => Some(IDENTITY_BY_DEFAULT),
                _ => None,
            },
            uncompressed,
        };
        (suffix, column)
    };
    Ok(columns.into_iter().map(column).collect())
}

/// The valid indexes of each table.
async fn indexes(
    connection: &mut PgConnection,
    suffixes: &[String],
    names: &[String],
) -> sqlx::Result<Vec<(String, Index)>> {
    type Row = (String, bool, Vec<String>, Option<String>);
    let indexes: Vec<Row> = sqlx::query_as(
        "SELECT wanted.suffix, i.indisunique,
                array(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts::int) AS n),
                pg_get_expr(i.indpred, i.indrelid)
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_index i ON i.indrelid = to_regclass(wanted.name)
         WHERE i.indisvalid",
    )
    .bind(suffixes)
    .bind(names)
    .fetch_all(connection)
    .await?;
    let index = |(suffix, unique, columns, predicate): Row| {
        let index = Index {
            columns: columns
                .iter()
                .map(|column| plain(column.trim_matches('"')))
                .collect(),
            unique,
            predicate: predicate.as_deref().map(plain),
        };
        (suffix, index)
    };
    Ok(indexes.into_iter().map(index).collect())
}

/// The names of each table's check constraints.
async fn checks(
    connection: &mut PgConnection,
    suffixes: &[String],
    names: &[String],
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "SELECT wanted.suffix, c.conname::text
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_constraint c ON c.conrelid = to_regclass(wanted.name)
         WHERE c.contype = 'c'",
    )
    .bind(suffixes)
    .bind(names)
    .fetch_all(connection)
    .await
}

/// The triggers of each table. A partition has to have those of its parent, since they are triggers for statements.
async fn triggers(
    connection: &mut PgConnection,
    suffixes: &[String],
    names: &[String],
) -> sqlx::Result<Vec<(String, Trigger)>> {
    type Row = (String, String, bool, Option<String>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT wanted.suffix, t.tgname::text, t.tgenabled IN ('O', 'A'), without.first, without.mend
         FROM unnest($1::text[], $2::text[]) AS wanted(suffix, name)
         JOIN pg_catalog.pg_trigger t ON t.tgrelid = to_regclass(wanted.name)
         JOIN pg_catalog.pg_class parent ON parent.oid = t.tgrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = parent.relnamespace
         CROSS JOIN LATERAL (
           SELECT min(part.relname)::text AS first,
                  string_agg(CASE WHEN same.oid IS NOT NULL
                    THEN format('ALTER TABLE %s ENABLE TRIGGER %I', part.oid::regclass, t.tgname)
                    ELSE replace(pg_get_triggerdef(t.oid), format(' ON %I.%I ', n.nspname, parent.relname),
                                 format(' ON %s ', part.oid::regclass)) END, '; ' ORDER BY part.relname) AS mend
           FROM pg_catalog.pg_inherits i
           JOIN pg_catalog.pg_class part ON part.oid = i.inhrelid AND part.relispartition
           LEFT JOIN pg_catalog.pg_trigger same ON same.tgrelid = part.oid AND same.tgname = t.tgname
           WHERE i.inhparent = t.tgrelid AND coalesce(same.tgenabled, 'D') NOT IN ('O', 'A')) without
         WHERE NOT t.tgisinternal ORDER BY t.tgname",
    )
    .bind(suffixes)
    .bind(names)
    .fetch_all(connection)
    .await?;
    let trigger = |(suffix, name, enabled, partition, mend): Row| {
        let flaw = match partition {
            _ if !enabled => Some(Trigger::DISABLED.to_owned()),
            Some(partition) => Some(format!("missing or disabled on the partition {partition}")),
            None => None,
        };
        (suffix, Trigger { name, flaw, mend })
    };
    Ok(rows.into_iter().map(trigger).collect())
}
