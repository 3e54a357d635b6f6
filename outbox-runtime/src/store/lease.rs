//! The row that makes one relay the active one.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use super::StoreError;

/// Fences the writes of an active relay: the epoch in which it was elected, and a token that only it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Counts the holders; each take-over adds one.
    pub epoch: i64,
    /// Random, to distinguish two processes that both believe to hold the same epoch.
    pub token: Uuid,
}

/// The lease row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The epoch of the current or last holder; 0 before the first.
    pub epoch: i64,
    /// The holder's token; `None` if the lease was released or never taken.
    pub token: Option<Uuid>,
    /// Counts renewals within the epoch. A standby checks only whether it changes.
    pub renewals: i64,
    /// Time without a renewal after which the lease expires.
    pub ttl: Duration,
}

/// A relay's request for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// A readable name, such as host and process id.
    pub holder: String,
    /// The token that the holder's writes will carry.
    pub token: Uuid,
    /// Time to live of the lease: without a renewal, a standby takes over.
    pub ttl: Duration,
}

/// A connection that only reads and writes the lease row.
///
/// The database's clock is not used: a standby measures on its own clock how long the row stays unchanged.
pub trait Lease: Send + 'static {
    /// Reads the row.
    fn read(&mut self) -> impl Future<Output = Result<LeaseRow, StoreError>> + Send;

    /// Takes the lease if the row still equals `seen`. Returns `None` if it has changed.
    fn take(
        &mut self,
        seen: &LeaseRow,
        claim: &Claim,
    ) -> impl Future<Output = Result<Option<Fence>, StoreError>> + Send;

    /// Renews the lease. Returns `false` if another relay holds it.
    fn renew(&mut self, fence: Fence) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records that the process is still alive after it lost the lease of a term, so that the term does not
    /// count as a crash.
    fn outlived(&mut self, fence: Fence) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Releases the lease, so that a standby does not have to wait. Does nothing if another relay holds it.
    fn release(&mut self, fence: Fence) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Wakes the active relay in any process. Called by standbys after a commit of their own process. A store
    /// without such signals does nothing, and the active relay finds the rows by polling.
    fn wake_active(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
