//! Asks the database. What a role may not see is told, and stops nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outbox_runtime::Tables;
use outbox_runtime::schema::{Role, SchemaComparison, compare_schema, missing_rights};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres};

use super::facts::{Clock, PostgresFacts, RoleRights, Server};
use super::sql;
use crate::doctor::{Hidden, Limits, Mend, Seen};
use crate::failure::Failure;

/// How many of the newest messages are looked at for large payloads.
const NEWEST: i64 = 1_000;

/// Tables of one row.
const ONE_ROW: [&str; 2] = ["cursor", "lease"];

/// The others, with many.
const MANY_ROWS: [&str; 4] = ["messages", "dead_letters", "inbox", "inbox_dead_letters"];

/// What the database is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) limits: &'a Limits,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

/// Asks everything, one question after the other.
pub(crate) async fn collect(pg: &mut PgConnection, wanted: &Wanted<'_>) -> Result<PostgresFacts, Failure> {
    let (tables, patience) = (wanted.tables, wanted.patience);
    let messages = tables.messages();
    let (asked_at, started) = (seconds_now(), Instant::now());
    let clock: f64 = in_time(patience, async {
        let text = "SELECT extract(epoch FROM clock_timestamp())::float8";
        sqlx::query_scalar(text).fetch_one(&mut *pg).await
    })
    .await
    .map_err(|error| Failure::failed("the database does not answer").because(error))?;
    let asked_for = started.elapsed();
    let clock = Clock {
        ahead: clock - asked_at - asked_for.as_secs_f64() / 2.0,
        asked_for,
    };
    let server: Server = in_time(patience, async {
        sqlx::query_as(sql::SERVER)
            .bind(&messages)
            .fetch_one(&mut *pg)
            .await
    })
    .await
    .map_err(|error| Failure::failed("cannot read the server's settings").because(error))?;
    let age = wanted.limits.transaction_age.as_secs_f64();
    let stats =
        || (!server.sees_all).then(|| Mend::Sql(format!("GRANT pg_read_all_stats TO {}", server.role)));
    let mut ask = Asking { pg, patience };
    let rights = ask.rights(tables).await?;
    let reader = reader(&rights);
    let names = MANY_ROWS
        .iter()
        .chain(&ONE_ROW)
        .map(|suffix| tables.quoted(suffix))
        .collect::<Vec<_>>();
    let one_row: Vec<bool> = MANY_ROWS
        .iter()
        .map(|_| false)
        .chain(ONE_ROW.map(|_| true))
        .collect();
    let holders = match server.sees_all {
        true => {
            ask.rows(
                "open transactions",
                None,
                sqlx::query_as(sql::HOLDERS).bind(&messages).bind(age),
            )
            .await
        }
        false => hidden(
            "open transactions of other roles",
            "the role sees only its own",
            stats(),
        ),
    };
    Ok(PostgresFacts {
        clock,
        schema: ask.schema(tables).await,
        holders,
        prepared: ask
            .rows(
                "prepared transactions",
                None,
                sqlx::query_as(sql::PREPARED).bind(age),
            )
            .await,
        slots: ask
            .rows("replication slots", None, sqlx::query_as(sql::SLOTS))
            .await,
        standbys: match server.sees_all {
            true => ask.rows("standbys", None, sqlx::query_as(sql::STANDBYS)).await,
            // One statement gives both.
            false => Seen::Is(Vec::new()),
        },
        invalid_indexes: {
            let text = AssertSqlSafe(sql::invalid_indexes());
            ask.rows("indexes", None, sqlx::query_as(text).bind(&names).bind(&one_row))
                .await
        },
        tables: {
            let text = AssertSqlSafe(sql::tables());
            ask.rows(
                "tables' statistics",
                None,
                sqlx::query_as(text).bind(&names).bind(&one_row),
            )
            .await
        },
        payloads: {
            let text = AssertSqlSafe(sql::payloads(&messages));
            ask.rows(
                "sizes of messages",
                reader.clone(),
                sqlx::query_as(text).bind(NEWEST),
            )
            .await
        },
        exactly_once: {
            let text = AssertSqlSafe(sql::exactly_once(&tables.cursor()));
            let found: Seen<Vec<(bool,)>> = ask
                .rows("the mode of delivery", reader, sqlx::query_as(text))
                .await;
            match found {
                Seen::Is(rows) => Seen::Is(rows.first().is_some_and(|row| row.0)),
                Seen::Hidden(hidden) => Seen::Hidden(hidden),
            }
        },
        rights,
        server,
    })
}

/// The grants that a reader lacks.
fn reader(rights: &[RoleRights]) -> Option<Mend> {
    let reader = rights.iter().find(|rights| rights.role == Role::Reader)?;
    (!reader.grants.is_empty()).then(|| Mend::Sql(reader.grants.join("; ")))
}

fn hidden<T>(what: &'static str, error: &str, mend: Option<Mend>) -> Seen<T> {
    let error = error.to_owned();
    Seen::Hidden(Hidden { what, error, mend })
}

struct Asking<'a> {
    pg: &'a mut PgConnection,
    patience: Duration,
}

type Query<'q, T> = sqlx::query::QueryAs<'q, Postgres, T, sqlx::postgres::PgArguments>;

impl Asking<'_> {
    async fn rows<T>(&mut self, what: &'static str, mend: Option<Mend>, query: Query<'_, T>) -> Seen<Vec<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        match in_time(self.patience, query.fetch_all(&mut *self.pg)).await {
            Ok(rows) => Seen::Is(rows),
            Err(error) => hidden(what, &error, mend),
        }
    }

    async fn schema(&mut self, tables: &Tables) -> Option<SchemaComparison> {
        compare_schema::<Postgres>(self.pg, tables).await.ok()
    }

    async fn rights(&mut self, tables: &Tables) -> Result<Vec<RoleRights>, Failure> {
        let mut rights = Vec::new();
        for role in Role::ALL {
            let missing = missing_rights::<Postgres>(self.pg, tables, role).await?;
            let grants = missing.into_iter().filter_map(|finding| finding.mend).collect();
            rights.push(RoleRights { role, grants });
        }
        Ok(rights)
    }
}

/// The answer, or in one sentence why there is none.
async fn in_time<T>(patience: Duration, asking: impl Future<Output = sqlx::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(patience, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(sqlx::Error::Database(error))) => Err(error.message().to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {patience:?}")),
    }
}

fn seconds_now() -> f64 {
    // A clock before 1970 differs from the server's in any case.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
