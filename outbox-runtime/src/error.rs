//! What can go wrong between emitting an event and its commit.

use std::fmt;

use crate::event::BoxError;
use crate::schema::Tables;

/// An error of the write path.
///
/// [`kind`](Self::kind) says what to do about it; the source, where there is one, is the database's or
/// serde's own error; [`ErrorChain`](crate::ErrorChain) writes both on one line. A service's error type takes it with
/// `From`:
///
/// ```
/// #[derive(Debug, thiserror::Error)]
/// enum UploadError {
///     #[error(transparent)]
///     Outbox(#[from] outbox_runtime::Error),
///     #[error(transparent)]
///     Database(#[from] sqlx::Error),
/// }
/// ```
pub struct Error {
    // One word, so that results that carry it stay small.
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// Kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The event's payload could not be serialized (for example, a number is NaN or infinite), or readers
    /// would not accept the JSON: it is invalid, nested more than 127 levels deep, or contains a number out
    /// of range.
    Payload,
    /// The payload exceeds the limit of the outbox.
    PayloadTooLarge {
        /// The payload's size in bytes.
        bytes: usize,
        /// Maximum size in bytes, set with
        /// [`OutboxBuilder::max_payload_bytes`](crate::OutboxBuilder::max_payload_bytes).
        limit: usize,
    },
    /// The record (key, payload, headers and Kafka's overhead) exceeds the limit of the outbox.
    RecordTooLarge {
        /// Maximum size in bytes of the record that a relay may send.
        bytes: usize,
        /// Maximum size in bytes, set with
        /// [`OutboxBuilder::max_record_bytes`](crate::OutboxBuilder::max_record_bytes).
        limit: usize,
    },
    /// The content type is that of a structured CloudEvent, but the relay sends attributes as headers.
    InvalidContentType,
    /// The event's key is empty, so the event would have no order.
    EmptyKey,
    /// The event's key is longer than 1,024 bytes.
    KeyTooLong {
        /// The key's size in bytes.
        bytes: usize,
        /// Maximum size in bytes.
        limit: usize,
    },
    /// Kafka would refuse the topic.
    InvalidTopic,
    /// A header cannot be stored, or its name is reserved.
    InvalidHeader,
    /// A required text is empty, or a text contains a NUL, which PostgreSQL cannot store.
    InvalidText,
    /// A time is not a valid record timestamp: 1970-01-01T00:00:00Z or earlier, after 9999, or a leap second.
    InvalidTime,
    /// The database failed and nothing was committed. See the source.
    Database,
    /// The handler ignored a failed statement, so PostgreSQL would roll back at COMMIT. Nothing was
    /// committed.
    SwallowedError,
    /// A part of the transaction (a joined call or a savepoint) failed or was dropped, so the transaction was
    /// rolled back. Nothing was committed.
    RollbackOnly,
    /// The transaction ended before its function returned: SQLite rolled back after a failed statement, the
    /// handler executed COMMIT or ROLLBACK, or a nested transaction of sqlx could not begin. Its events were
    /// not written.
    ///
    /// On PostgreSQL a COMMIT or ROLLBACK that is run as plain SQL is not seen: do not run any.
    EndedByHand,
    /// COMMIT was sent and not answered. The transaction may or may not have committed.
    CommitOutcomeUnknown {
        /// The transaction's id in PostgreSQL, for [`Outbox::outcome`](crate::Outbox::outcome); `None` on
        /// SQLite.
        xid: Option<u64>,
    },
    /// A new transaction inside another one would wait for the connection or for SQLite's write lock, which the
    /// outer one holds.
    NestedTransaction,
    /// A [mode](crate::modes) was changed after the transaction had read it. Nothing was committed.
    ModeChanged,
    /// A call requires a stricter isolation than the transaction that it would join.
    WeakerIsolation,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn database(doing: &str, source: sqlx::Error) -> Self {
        Self::new(ErrorKind::Database, format!("could not {doing}")).with_source(source)
    }

    /// What the database answered to a statement on tables of the outbox, with what to do where that is known.
    pub(crate) fn on_tables(doing: &str, tables: &Tables, source: sqlx::Error) -> Self {
        if matches!(source, sqlx::Error::RowNotFound) {
            return Self::left_out(doing, tables).with_source(source);
        }
        let answer = source.as_database_error();
        let advice = answer.and_then(|answer| advice(tables, &answer.code()?, answer.message()));
        Self::advised(doing, advice).with_source(source)
    }

    /// The database took a statement, and not every message is in the table.
    pub(crate) fn left_out(doing: &str, tables: &Tables) -> Self {
        Self::advised(doing, Some(left_out(tables)))
    }

    /// The database refused a statement; with what to do, where that is known.
    pub(crate) fn advised(doing: &str, advice: Option<String>) -> Self {
        let message = match advice {
            Some(advice) => format!("could not {doing}: {advice}"),
            None => format!("could not {doing}"),
        };
        Self::new(ErrorKind::Database, message)
    }

    /// Kind of an [`Error`].
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }
}

/// What mends an error of the tables, if it is one.
pub(crate) fn advice(tables: &Tables, code: &str, says: &str) -> Option<String> {
    let lacks = |what: &str| says.starts_with(what);
    let (messages, names) = (tables.messages(), tables.as_arguments());
    match code {
        "42P01" | "3F000" => {}
        "1" if lacks("no such table") => {}
        "42703" => return Some(other_version(&names)),
        "1" if lacks("no such column") || says.contains("has no column named") => {
            return Some(other_version(&names));
        }
        "42501" => {
            return Some(format!(
                "the role may not write there: `GRANT INSERT ON {messages} TO <role>`, and `GRANT USAGE` on the schema"
            ));
        }
        _ => return None,
    }
    Some(format!(
        "the outbox tables are not in this database (no table {messages}, or it is not on the `search_path`): run \
         `outbox migrate{names} --database-url <url>`"
    ))
}

fn left_out(tables: &Tables) -> String {
    let (messages, names) = (tables.messages(), tables.as_arguments());
    format!(
        "the database took the statement and did not insert every message, so events would be lost: a trigger before \
         INSERT on {messages} leaves rows out, and `outbox migration check{names} --strict` names it"
    )
}

fn other_version(names: &str) -> String {
    format!(
        "the outbox tables have another version than this program: run `outbox migrate{names} --database-url <url>`"
    )
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
