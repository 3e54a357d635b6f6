//! Why a relay stops reading from one reader.

use crate::publisher::PublishError;
use crate::store::StoreError;

/// Why a run, at least once or exactly once, ended.
pub(super) enum RunEnd {
    /// The lease is over.
    LeaseLost,
    /// A stop was asked for, and everything handed over is settled or given up.
    Stopped,
    /// Everything that was committed is settled.
    Drained,
    /// The database failed.
    Store(StoreError),
    /// The broker failed a record that was handed over.
    Broker(PublishError),
    /// The next record could not be handed over.
    Refused(PublishError),
    /// Records that were held back have to be read again.
    Again,
}
