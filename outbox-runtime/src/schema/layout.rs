//! Whether the messages are one table or many.

use std::fmt;
use std::num::NonZeroU32;

/// For so many partitions to come there is always room, counted from the newest message on.
pub(crate) const PARTITIONS_AHEAD: u32 = 16;

/// Storage of the messages in PostgreSQL. With partitions, delivered messages can be dropped a partition at a
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One table.
    #[default]
    Plain,
    /// Partitions by ranges of `seq`; PostgreSQL only.
    Partitioned {
        /// Number of `seq` values per partition. Later partitions are as large as the newest one.
        rows: NonZeroU32,
    },
}

impl Layout {
    /// The default number of rows in a partition.
    pub const PARTITION_ROWS: u32 = 1_000_000;

    /// Partitions of this many rows.
    ///
    /// ```
    /// use outbox_runtime::schema::Layout;
    ///
    /// assert!(Layout::partitioned(100_000).is_some());
    /// assert_eq!(Layout::partitioned(0), None);
    /// ```
    pub fn partitioned(rows: u32) -> Option<Self> {
        NonZeroU32::new(rows).map(|rows| Self::Partitioned { rows })
    }

    pub(super) fn partition_rows(self) -> Option<u32> {
        match self {
            Self::Plain => None,
            Self::Partitioned { rows } => Some(rows.get()),
        }
    }
}

/// The layout as an option of the command line, with a space in front; empty for the default.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition_rows() {
            None => Ok(()),
            Some(Self::PARTITION_ROWS) => f.write_str(" --partitioned"),
            Some(rows) => write!(f, " --partitioned={rows}"),
        }
    }
}
