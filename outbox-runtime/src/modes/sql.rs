//! The statements of modes, and the locks that they are about.
//!
//! There are three kinds of advisory locks, all of the database and the table: *change* is shared by each transaction
//! that writes events, from before it decides on a mode to its end, and exclusive in a switch. *Sending* is shared by
//! sessions with events on their way that no table knows of, and exclusive at the end of a switch. The locks of *keys*
//! are exclusive, for the order of directly sent events among processes.

use crate::schema::Tables;

/// Behind the table's oid: "ou" in ASCII, and a number.
const CHANGE: i64 = 0x6f75_0000;
const SENDING: i64 = 0x6f75_0001;
const KEYS: i64 = 0x6f75_0100;

/// The statements for one set of tables.
#[derive(Debug)]
pub(crate) struct ModeSql {
    /// Shares *change* until the transaction ends; then the version.
    pub(super) hold: String,
    /// As `hold`, without waiting: whether it is held, and the version.
    pub(super) try_hold: String,
    /// Shares *sending* for `-1`, and takes the keys' locks, in this order.
    pub(super) lock: String,
    /// Whether all of them were held.
    pub(super) unlock: String,
    pub(super) set: String,
    /// Takes *change* in a switch.
    pub(crate) take_change: String,
    pub(crate) take_sending: String,
    /// Who holds *change* or *sending*: pid, application name, whether it is *sending*.
    pub(crate) holders: String,
}

impl ModeSql {
    pub(crate) fn new(tables: &Tables) -> Self {
        let modes = tables.modes();
        let sequence = tables.quoted("modes_version_seq");
        let lock = |number: i64| format!("(('{modes}'::regclass::oid::bigint << 32) | {number})");
        let (change, sending) = (lock(CHANGE), lock(SENDING));
        let key = format!("(('{modes}'::regclass::oid::bigint << 32) | ({KEYS} + k))");
        let version = format!("pg_sequence_last_value('{sequence}'::regclass)");
        Self {
            // The columns are computed from left to right, and the version is not read from the statement's snapshot.
            hold: format!("SELECT pg_advisory_xact_lock_shared({change}), {version}"),
            try_hold: format!("SELECT pg_try_advisory_xact_lock_shared({change}), {version}"),
            lock: format!(
                "SELECT CASE WHEN k < 0 THEN pg_advisory_lock_shared({sending}) ELSE pg_advisory_lock({key}) END
                 FROM unnest($1::bigint[]) AS k"
            ),
            unlock: format!(
                "SELECT bool_and(CASE WHEN k < 0 THEN pg_advisory_unlock_shared({sending})
                                 ELSE pg_advisory_unlock({key}) END)
                 FROM unnest($1::bigint[]) AS k"
            ),
            set: format!("SELECT scope, name, mode FROM {modes} WHERE mode IS NOT NULL"),
            take_change: format!("SELECT pg_advisory_xact_lock({change})"),
            take_sending: format!("SELECT pg_advisory_xact_lock({sending})"),
            holders: format!(
                "SELECT l.pid, a.application_name, l.objid::bigint = {SENDING}
                 FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
                 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
                   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                   AND l.classid = '{modes}'::regclass AND l.objid::bigint IN ({CHANGE}, {SENDING})
                 ORDER BY l.pid"
            ),
        }
    }
}
