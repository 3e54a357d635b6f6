//! From which number on something is a finding.

use std::time::Duration;

/// Thresholds of the checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// An open or prepared transaction is older.
    pub(crate) transaction_age: Duration,
    /// The clocks differ by more.
    pub(crate) clock: Duration,
    /// Dead rows of a table, if they are also half as many as the live ones.
    pub(crate) dead_rows: i64,
    /// Dead rows of a table of one row.
    pub(crate) dead_versions: i64,
    /// Size of a table of one row, in bytes.
    pub(crate) one_row_bytes: i64,
    /// WAL that an active replication slot keeps, in bytes.
    pub(crate) slot_bytes: i64,
    /// Transactions that a slot or a standby is behind.
    pub(crate) xmin_age: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transaction_age: Duration::from_secs(300),
            clock: Duration::from_secs(1),
            dead_rows: 100_000,
            dead_versions: 10_000,
            one_row_bytes: 1 << 20,
            slot_bytes: 10 << 30,
            xmin_age: 10_000_000,
        }
    }
}
