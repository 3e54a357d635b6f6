//! What was found, before it is judged.

use std::time::Duration;

use outbox_runtime::schema::{Role, SchemaComparison};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::doctor::Seen;

/// Everything that the checks of PostgreSQL judge.
#[derive(Debug, Clone)]
pub(crate) struct PostgresFacts {
    pub(crate) server: Server,
    /// None if the tables may not be looked at.
    pub(crate) schema: Option<SchemaComparison>,
    /// A right that is missing, for each kind of work.
    pub(crate) rights: Vec<RoleRights>,
    pub(crate) holders: Seen<Vec<Holder>>,
    pub(crate) prepared: Seen<Vec<Prepared>>,
    pub(crate) slots: Seen<Vec<Slot>>,
    pub(crate) standbys: Seen<Vec<Standby>>,
    pub(crate) invalid_indexes: Seen<Vec<InvalidIndex>>,
    pub(crate) tables: Seen<Vec<Table>>,
    /// The largest payloads of the newest messages, by topic.
    pub(crate) payloads: Seen<Vec<Payload>>,
    pub(crate) exactly_once: Seen<bool>,
    pub(crate) clock: Clock,
}

/// Settings of the server, as they hold for this role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// `server_version_num`.
    pub(crate) version: i32,
    pub(crate) version_text: String,
    pub(crate) in_recovery: bool,
    pub(crate) read_only: bool,
    /// Where `default_transaction_read_only` comes from: `database`, `user`, `configuration file`, …
    pub(crate) read_only_source: String,
    pub(crate) fsync: bool,
    pub(crate) synchronous_commit: String,
    pub(crate) synchronous_commit_source: String,
    pub(crate) autovacuum: bool,
    pub(crate) track_counts: bool,
    /// `idle_in_transaction_session_timeout`.
    pub(crate) idle_timeout: String,
    /// The database's name in quotes, if it needs them.
    pub(crate) database: String,
    /// The role's name in quotes, if it needs them.
    pub(crate) role: String,
    /// The role sees other roles' transactions.
    pub(crate) sees_all: bool,
    /// The messages are partitioned.
    pub(crate) partitioned: bool,
}

/// What a role lacks for a kind of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleRights {
    pub(crate) role: Role,
    /// The statements that grant what is missing.
    pub(crate) grants: Vec<String>,
}

/// An open transaction that keeps rows back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    pub(crate) role: String,
    pub(crate) application: String,
    pub(crate) state: String,
    pub(crate) age: f64,
    /// It has written messages.
    pub(crate) writes: bool,
}

/// A prepared transaction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prepared {
    /// As a literal of SQL.
    pub(crate) gid: String,
    pub(crate) owner: String,
    pub(crate) age: f64,
}

/// A replication slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// As a literal of SQL.
    pub(crate) name: String,
    pub(crate) active: bool,
    /// WAL that it keeps.
    pub(crate) bytes: Option<i64>,
    /// Transactions that it is behind.
    pub(crate) xmin_age: Option<i64>,
}

/// A standby that says which rows its queries need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standby {
    pub(crate) name: String,
    pub(crate) xmin_age: i64,
}

/// An index that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidIndex {
    pub(crate) index: String,
    /// The table's name without schema and quotes.
    pub(crate) bare: String,
    pub(crate) table: String,
}

/// The rows of a table or partition, by PostgreSQL's own count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// It has one row.
    pub(crate) one_row: bool,
    pub(crate) dead: i64,
    pub(crate) live: i64,
    pub(crate) bytes: i64,
    /// `autovacuum_enabled` is off for it.
    pub(crate) autovacuum_off: bool,
}

/// The largest of the newest messages of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) topic: String,
    /// Payload, key and headers.
    pub(crate) bytes: i64,
}

/// The server's clock beside ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    /// How far the server's is ahead, in seconds.
    pub(crate) ahead: f64,
    /// How long the question took: the difference is no more exact than that.
    pub(crate) asked_for: Duration,
}

/// Each field comes from the column of its name.
macro_rules! from_row {
    ($kind:ident { $($field:ident),* }) => {
        impl FromRow<'_, PgRow> for $kind {
            fn from_row(row: &PgRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?,)* })
            }
        }
    };
}

from_row!(Server {
    version,
    version_text,
    in_recovery,
    read_only,
    read_only_source,
    fsync,
    synchronous_commit,
    synchronous_commit_source,
    autovacuum,
    track_counts,
    idle_timeout,
    database,
    role,
    sees_all,
    partitioned
});
from_row!(Holder {
    pid,
    role,
    application,
    state,
    age,
    writes
});
from_row!(Prepared { gid, owner, age });
from_row!(Slot {
    name,
    active,
    bytes,
    xmin_age
});
from_row!(Standby { name, xmin_age });
from_row!(InvalidIndex { index, bare, table });
from_row!(Table {
    name,
    one_row,
    dead,
    live,
    bytes,
    autovacuum_off
});
from_row!(Payload { topic, bytes });
