//! Asks the database. What a role may not see is reported, and stops nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outbox_runtime::Tables;
use outbox_runtime::schema::{Role, SchemaComparison, compare_schema, missing_rights};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres};

use super::facts::{Clock, Holder, PostgresFacts, RoleRights, Server, Standby};
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
    let mut ask = Asking { pg, patience };
    let clock = ask.clock().await.map_err(unanswered)?;
    let server: Server = ask
        .one(async |pg| sqlx::query_as(sql::SERVER).bind(&messages).fetch_one(pg).await)
        .await
        .map_err(unanswered)?;
    let rights = ask.rights(tables).await?;
    let reader = reader(&rights);
    let age = wanted.limits.transaction_age.as_secs_f64();
    let (holders, standbys) = ask.sessions(&server, &messages, age).await;
    Ok(PostgresFacts {
        clock,
        schema: ask.schema(tables).await,
        holders,
        standbys,
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
        invalid_indexes: ask.of_tables("indexes", sql::invalid_indexes(), tables).await,
        tables: ask.of_tables("tables' statistics", sql::tables(), tables).await,
        payloads: {
            let query = sqlx::query_as(AssertSqlSafe(sql::payloads(&messages))).bind(NEWEST);
            ask.rows("sizes of messages", reader.clone(), query).await
        },
        exactly_once: ask.exactly_once(tables, reader).await,
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
    /// The answer, or in one sentence why there is none. Each question has a transaction of its own: one that is refused
    /// spoils no other, and a pooler leads all of its messages to the same session.
    async fn one<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, String> {
        let asking = async {
            sqlx::raw_sql("BEGIN READ ONLY").execute(&mut *self.pg).await?;
            let answer = question(&mut *self.pg).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut *self.pg).await?;
            answer
        };
        match tokio::time::timeout(self.patience, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(sqlx::Error::Database(error))) => Err(error.message().to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.patience)),
        }
    }

    async fn clock(&mut self) -> Result<Clock, String> {
        let (asked_at, started) = (seconds_now(), Instant::now());
        let text = "SELECT extract(epoch FROM clock_timestamp())::float8";
        let theirs: f64 = self
            .one(async |pg| sqlx::query_scalar(text).fetch_one(pg).await)
            .await?;
        let asked_for = started.elapsed();
        Ok(Clock {
            ahead: theirs - asked_at - asked_for.as_secs_f64() / 2.0,
            asked_for,
        })
    }

    async fn rows<T>(&mut self, what: &'static str, mend: Option<Mend>, query: Query<'_, T>) -> Seen<Vec<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        match self.one(async |pg| query.fetch_all(pg).await).await {
            Ok(rows) => Seen::Is(rows),
            Err(error) => hidden(what, &error, mend),
        }
    }

    /// Open transactions, and standbys with queries. A role that may not see those of others sees neither, which is
    /// reported once.
    async fn sessions(
        &mut self,
        server: &Server,
        messages: &str,
        age: f64,
    ) -> (Seen<Vec<Holder>>, Seen<Vec<Standby>>) {
        if !server.sees_all {
            let grant = Mend::Sql(format!("GRANT pg_read_all_stats TO {}", server.role));
            let what = "open transactions of other roles";
            let holders = hidden(what, "the role sees only its own", Some(grant));
            return (holders, Seen::Is(Vec::new()));
        }
        let holders = sqlx::query_as(sql::HOLDERS).bind(messages).bind(age);
        let holders = self.rows("open transactions", None, holders).await;
        let standbys = self.rows("standbys", None, sqlx::query_as(sql::STANDBYS)).await;
        (holders, standbys)
    }

    /// A question about our tables and their partitions.
    async fn of_tables<T>(&mut self, what: &'static str, text: String, tables: &Tables) -> Seen<Vec<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let all = MANY_ROWS.map(|suffix| (suffix, false)).into_iter();
        let all = all.chain(ONE_ROW.map(|suffix| (suffix, true)));
        let (names, one_row): (Vec<String>, Vec<bool>) = all
            .map(|(suffix, one_row)| (tables.quoted(suffix), one_row))
            .unzip();
        let query = sqlx::query_as(AssertSqlSafe(text)).bind(names).bind(one_row);
        self.rows(what, None, query).await
    }

    async fn exactly_once(&mut self, tables: &Tables, mend: Option<Mend>) -> Seen<bool> {
        let text = AssertSqlSafe(sql::exactly_once(&tables.cursor()));
        let asked = self
            .one(async |pg| sqlx::query_scalar(text).fetch_one(pg).await)
            .await;
        match asked {
            Ok(exactly_once) => Seen::Is(exactly_once),
            Err(error) => hidden("the mode of delivery", &error, mend),
        }
    }

    async fn schema(&mut self, tables: &Tables) -> Option<SchemaComparison> {
        self.one(async |pg| Ok(compare_schema::<Postgres>(pg, tables).await.ok()))
            .await
            .ok()
            .flatten()
    }

    async fn rights(&mut self, tables: &Tables) -> Result<Vec<RoleRights>, Failure> {
        let mut rights = Vec::new();
        for role in Role::ALL {
            let missing = self
                .one(async |pg| Ok(missing_rights::<Postgres>(pg, tables, role).await))
                .await
                .map_err(unanswered)??;
            let grants = missing.into_iter().filter_map(|finding| finding.mend).collect();
            rights.push(RoleRights { role, grants });
        }
        Ok(rights)
    }
}

fn unanswered(error: String) -> Failure {
    Failure::failed("the database cannot be examined")
        .because(error)
        .advise("if the address is that of a pooler, give that of PostgreSQL itself")
}

fn seconds_now() -> f64 {
    // A clock before 1970 differs from the server's in any case.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
