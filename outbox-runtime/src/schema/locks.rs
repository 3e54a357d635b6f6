//! Who stands in the way of a change to the tables.

use sqlx::PgConnection;

use super::Tables;

/// Whether PostgreSQL gave up because other sessions kept a lock: `lock_not_available`.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}

/// The sessions that hold locks on the tables, the oldest transactions first, with the last query of each.
pub(super) async fn holders(connection: &mut PgConnection, tables: &Tables) -> sqlx::Result<String> {
    let held: Option<String> = sqlx::query_scalar(
        "SELECT string_agg(format('pid %s (%s, for %s s): %s', holder.pid,
                  coalesce(nullif(holder.application_name, ''), holder.usename),
                  extract(epoch FROM clock_timestamp() - holder.xact_start)::bigint, left(holder.query, 200)), '; ')
         FROM (
           SELECT DISTINCT session.pid, session.application_name, session.usename, session.xact_start, session.query
           FROM pg_catalog.pg_locks held
           JOIN pg_catalog.pg_class part ON part.oid = held.relation
           JOIN pg_catalog.pg_class log ON log.oid = to_regclass($1) AND log.relnamespace = part.relnamespace
           JOIN pg_catalog.pg_stat_activity session ON session.pid = held.pid
           WHERE held.granted AND held.pid <> pg_backend_pid() AND part.relkind IN ('r', 'p')
             AND held.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
             AND starts_with(part.relname::text, $2)
           ORDER BY session.xact_start LIMIT 5) holder",
    )
    .bind(tables.messages())
    .bind(tables.prefix())
    .fetch_one(connection)
    .await?;
    Ok(held.unwrap_or_else(|| "they have ended by now".to_owned()))
}
