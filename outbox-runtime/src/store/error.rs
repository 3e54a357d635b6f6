//! What can go wrong in a store, sorted by what a relay does about it.

use std::error::Error as StdError;
use std::fmt;

use super::classify::kind_of;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::Tables;
use crate::schema::SchemaError;
#[cfg(feature = "postgres")]
use crate::schema::{Finding, Role};

/// An error of a [`Store`](super::Store).
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    doing: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Kind of a [`StoreError`], which decides what the relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The database is unavailable, busy or timed out. Retried indefinitely on a new connection.
    Unavailable,
    /// The database is read-only: it is a standby, or `default_transaction_read_only` is on. Retried
    /// indefinitely.
    ReadOnly,
    /// Another relay has taken over. This relay waits for the lease again.
    Fenced,
    /// The tables are missing or have an unknown version. Ends the relay.
    Schema,
    /// The cursor was written in another cluster or database: this is a restored dump or a copy. Ends the
    /// relay, because it would silently skip or repeat events.
    ForeignCluster,
    /// Only an operator can decide how to continue. Nothing was changed.
    Undecided,
    /// The database has accepted this role before and now refuses the login, or the file is read-only. Retried
    /// indefinitely, because a password can be changed and a right granted.
    Refused,
    /// A right, a table or the database is missing, the login is refused, a certificate is not trusted, or the
    /// connection goes through a pooler. Ends a relay that starts or drains. A relay that has worked before
    /// retries, because the missing object may return.
    Configuration,
}

impl StoreError {
    /// Creates an error that occurred while `doing` something, such as `"reading a page"`.
    pub fn new(kind: StoreErrorKind, doing: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            source: None,
        }
    }

    /// Sets the cause of the error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, met by somebody for whom it means something else.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn of_kind(self, kind: StoreErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The kind of the error.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the error is permanent. Only permanent errors end a relay, and at its start also
    /// [`StoreErrorKind::Configuration`].
    pub fn is_fatal(&self) -> bool {
        match self.kind {
            StoreErrorKind::Schema | StoreErrorKind::ForeignCluster | StoreErrorKind::Undecided => true,
            StoreErrorKind::Unavailable
            | StoreErrorKind::ReadOnly
            | StoreErrorKind::Fenced
            | StoreErrorKind::Refused
            | StoreErrorKind::Configuration => false,
        }
    }

    /// Turns `sqlx`'s error into ours; to be used as `.map_err(StoreError::while_doing("reading a page"))`.
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| {
            if hides_rows(&error) {
                let hidden = format!(
                    "row-level security hides rows from the relay's role, found while {doing}, and hidden rows would \
                     never be sent: run `ALTER ROLE <role> BYPASSRLS`, or `ALTER TABLE <table> DISABLE ROW LEVEL \
                     SECURITY`; `outbox migration check` says which table"
                );
                return Self::new(StoreErrorKind::Schema, hidden).with_source(error);
            }
            let kind = kind_of(&error);
            let doing = match kind {
                StoreErrorKind::Configuration => missing_while(&error, doing),
                StoreErrorKind::Schema => format!(
                    "the outbox tables are not in this database, not on its `search_path`, or of another version, found \
                     while {doing}: `outbox migration check --database-url <url>` lists them, `outbox migrate` creates them"
                ),
                _ => doing.to_owned(),
            };
            Self::new(kind, doing).with_source(error)
        }
    }

    /// The cursor's one row is gone.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn lost_cursor(tables: &Tables) -> Self {
        let (cursor, names) = (tables.cursor(), tables.as_arguments());
        Self::new(
            StoreErrorKind::Schema,
            format!(
                "the table {cursor} has lost its one row, and nothing else says what was delivered, so nothing was \
                 sent: run `outbox adopt{names} --without-cursor send` to send all that is in the log, delivered \
                 before or not, or `… --without-cursor skip` to send none of it"
            ),
        )
    }

    /// The lease's one row is gone.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn lost_lease(tables: &Tables) -> Self {
        let (lease, names) = (tables.lease(), tables.as_arguments());
        Self::new(
            StoreErrorKind::Schema,
            format!(
                "the table {lease} has lost its one row, without which no relay can be the active one: \
                 `outbox adopt{names} --database-url <url>` puts it back"
            ),
        )
    }

    /// The dead letters do not even take what is kept of a row that cannot be stored there as it is.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn dead_letter_refused(tables: &str, seq: i64, refused: &str) -> Self {
        Self::new(
            StoreErrorKind::Schema,
            format!(
                "the row with seq {seq} cannot be delivered, and {tables} does not take it either: {refused}; the log cannot \
                 go on without losing it, so take back what was changed on {tables} (`outbox migration check --strict` \
                 compares) and start the relay again"
            ),
        )
    }

    /// The connection's role may not do this work.
    #[cfg(feature = "postgres")]
    pub(crate) fn lacks_rights(role: Role, missing: &[Finding]) -> Self {
        let missing: Vec<_> = missing.iter().map(Finding::to_string).collect();
        Self::new(
            StoreErrorKind::Configuration,
            format!("the {role}'s role lacks rights: {}", missing.join("; ")),
        )
    }

    /// A statement that did not answer in time.
    pub(crate) fn timed_out(doing: &'static str) -> Self {
        Self::new(StoreErrorKind::Unavailable, doing).with_source("no answer from the database in time")
    }
}

/// What PostgreSQL says where `row_security` is off and rows would be hidden.
fn hides_rows(error: &sqlx::Error) -> bool {
    #[cfg(feature = "postgres")]
    {
        use sqlx::postgres::PgDatabaseError;
        error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
            .is_some_and(|error| error.routine() == Some("check_enable_rls"))
    }
    #[cfg(not(feature = "postgres"))]
    {
        let _ = error;
        false
    }
}

/// What to do about a right or an object that the database says is missing; its own words name it.
fn missing_while(error: &sqlx::Error, doing: &str) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    let advice = match code.as_deref() {
        Some("3D000") => "create the database, or name another one",
        Some("42501") => {
            "grant the role what it lacks: `outbox migration check --database-url <url>` prints the statements"
        }
        _ => {
            "the outbox tables are not in this database, not on its `search_path`, or of another version: \
             `outbox migration check --database-url <url>` lists what is missing, `outbox migrate` creates the tables"
        }
    };
    format!("the database refused {doing}; {advice}")
}

impl From<SchemaError> for StoreError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Database(error) => Self::while_doing("checking the tables' version")(error),
            wrong => Self::new(StoreErrorKind::Schema, wrong.to_string()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StoreErrorKind::Unavailable => write!(formatter, "the database failed while {}", self.doing),
            StoreErrorKind::ReadOnly => {
                write!(
                    formatter,
                    "the database takes no writes, found while {}: it is a standby (`SELECT pg_is_in_recovery()`), or \
                     `default_transaction_read_only` is on for the server, the database or the role",
                    self.doing
                )
            }
            StoreErrorKind::Fenced => write!(
                formatter,
                "another relay took the log over, found while {}",
                self.doing
            ),
            StoreErrorKind::Refused => write!(formatter, "the database refused {}", self.doing),
            StoreErrorKind::Schema
            | StoreErrorKind::ForeignCluster
            | StoreErrorKind::Undecided
            | StoreErrorKind::Configuration => formatter.write_str(&self.doing),
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
