//! A connection of the relay's own: outside of the service's pool, never waiting for ever.

use std::future::Future;
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres, Row as _};
use uuid::Uuid;

use super::login::{Refusal, refused};
use super::options::Options;
use crate::Tables;
use crate::schema::{Finding, Role, SchemaError, differences, missing_rights, other_version, warnings};
use crate::store::{StoreError, StoreErrorKind};

/// No statement of the store takes longer than milliseconds in normal running. One that does not answer for
/// this much longer than it may take has lost its connection without a word, and a new connection is tried.
const GRACE: Duration = Duration::from_secs(5);

/// Row-level security must not hide rows: where it would, statements fail instead.
///
/// Guards against plans that read the whole log: statistics of a log are stale most of the time, because it
/// grows at one end. Prepared statements may turn generic; these settings hold for both kinds of plans.
///
/// They go with the connection's start, so that nothing has to be `SET`: behind a pooler, that would stay on a server
/// connection which the service gets next.
const SETTINGS: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("default_transaction_isolation", "read committed"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("row_security", "off"),
];

/// A setting that means nothing to PostgreSQL. Only the session that this connection started knows its value.
const SESSION: &str = "outbox.session";

/// Two statements have to find the session that this connection started.
const LOOKS: usize = 2;

pub(super) struct Connection {
    pg: PgConnection,
    /// How long an answer may take.
    patience: Duration,
}

impl Connection {
    pub(super) async fn open(options: &Options) -> Result<Self, StoreError> {
        let doing = "connecting";
        let session = Uuid::new_v4().simple().to_string();
        let statement_timeout = format!("{}ms", options.statement_timeout().as_millis());
        let patience = options.statement_timeout() + GRACE;
        let options = match tokio::time::timeout(patience, options.now()).await {
            Ok(asked) => asked?,
            Err(_) => return Err(StoreError::timed_out("asking for its password")),
        };
        let on_socket = options.get_socket().is_some();
        let options = options
            .disable_statement_logging()
            .application_name("outbox-relay")
            .options(SETTINGS)
            .options([("statement_timeout", &statement_timeout)])
            .options([(SESSION, &session)]);
        let connected = patiently(patience, doing, async {
            Ok(PgConnection::connect_with(&options).await)
        });
        let connection = match connected.await? {
            Ok(connection) => connection,
            Err(error) if is_of_a_pooler(&error) => {
                return Err(pooled("refuses the settings of a session").with_source(error));
            }
            Err(error) => {
                return Err(match refused(&error, on_socket) {
                    Some(Refusal { what, advice }) => {
                        let says = format!("{what}; {advice}");
                        StoreError::new(StoreErrorKind::Configuration, says).with_source(error)
                    }
                    None => StoreError::while_doing(doing)(error),
                });
            }
        };
        let mut connection = Self {
            pg: connection,
            patience,
        };
        for _ in 0..LOOKS {
            connection.check_session(&session).await?;
        }
        Ok(connection)
    }

    /// Who passes connections on may drop the settings that they were started with, and may lead each statement to
    /// another session. The question is one message without a prepared statement, so it leaves nothing there.
    async fn check_session(&mut self, session: &str) -> Result<(), StoreError> {
        let found: Option<String> = self
            .run("looking at the session", async |pg| {
                let look = format!("SELECT current_setting('{SESSION}', true)");
                let row = sqlx::raw_sql(AssertSqlSafe(look)).fetch_one(pg).await?;
                row.try_get(0)
            })
            .await?;
        match found.as_deref() {
            Some(found) if found == session => Ok(()),
            _ => Err(pooled("leads to sessions that others started")),
        }
    }

    /// The role may do this work, or the error says what to grant.
    pub(super) async fn check_rights(&mut self, tables: &Tables, role: Role) -> Result<(), StoreError> {
        let asking = missing_rights::<Postgres>(&mut self.pg, tables, role);
        let missing = match tokio::time::timeout(self.patience, asking).await {
            Ok(missing) => missing?,
            Err(_) => return Err(StoreError::timed_out("asking for the role's rights")),
        };
        match missing.is_empty() {
            true => Ok(()),
            false => Err(StoreError::lacks_rights(role, &missing)),
        }
    }

    /// The tables have the version that this library works with, or the error says what to run. Returns warnings.
    pub(super) async fn check_schema(&mut self, tables: &Tables) -> Result<Vec<Finding>, StoreError> {
        checking(self.patience, warnings::<Postgres>(&mut self.pg, tables)).await
    }

    /// Why this library no longer works with the tables, if they have become of such a version.
    pub(super) async fn other_version(&mut self, tables: &Tables) -> Result<Option<SchemaError>, StoreError> {
        let asking = other_version::<Postgres>(&mut self.pg, tables);
        patiently(self.patience, "checking the tables' version", asking).await
    }

    /// How the tables differ from what this library works with.
    pub(super) async fn differences(&mut self, tables: &Tables) -> Result<Vec<Finding>, StoreError> {
        checking(self.patience, differences::<Postgres>(&mut self.pg, tables)).await
    }

    /// Whether the server replays WAL: it is a standby, or is being restored.
    pub(super) async fn is_in_recovery(&mut self) -> Result<bool, StoreError> {
        self.run("asking whether the server is in recovery", async |pg| {
            sqlx::query_scalar("SELECT pg_is_in_recovery()")
                .fetch_one(pg)
                .await
        })
        .await
    }

    /// Runs statements on the connection. After an error the connection must not be used again.
    pub(super) async fn run<T>(
        &mut self,
        doing: &'static str,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        patiently(self.patience, doing, statements(&mut self.pg)).await
    }
}

async fn checking<T>(
    patience: Duration,
    check: impl Future<Output = Result<T, SchemaError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, check).await {
        Ok(checked) => Ok(checked?),
        Err(_) => Err(StoreError::timed_out("checking the tables' version")),
    }
}

async fn patiently<T>(
    patience: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result.map_err(StoreError::while_doing(doing)),
        Err(_) => Err(StoreError::timed_out(doing)),
    }
}

/// Whether the way to the database does not know what PostgreSQL takes when a connection starts: as PgBouncer says
/// "unsupported startup parameter" (protocol_violation), and others that they do not have the feature.
fn is_of_a_pooler(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let message = error.message().to_ascii_lowercase();
        let about_start = ["startup", "start-up", "command-line options", "options"]
            .iter()
            .any(|word| message.contains(word));
        matches!(error.code().as_deref(), Some("08P01" | "0A000")) && about_start
    })
}

fn pooled(what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Configuration,
        format!(
            "the database is behind a pooler that {what}, and a relay needs sessions of its own, in every mode of \
             pooling: give it the address of PostgreSQL itself (a pooler often listens on port 6432, PostgreSQL on \
             5432). Nothing was set on the pooler's connections"
        ),
    )
}
