//! The row that makes one relay the active one.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use super::StoreError;

/// What every write of an active relay carries: the epoch it was elected in and a token only it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Counts the holders; each take-over adds one.
    pub epoch: i64,
    /// Random, so that two processes that believe in the same epoch are still told apart.
    pub token: Uuid,
}

/// The lease row as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The epoch of the present or last holder; 0 before the first.
    pub epoch: i64,
    /// The holder's token; `None` when the lease was given back, or never taken.
    pub token: Option<Uuid>,
    /// Counts renewals within the epoch. A standby only looks at whether it moves.
    pub renewals: i64,
    /// How long the holder may be silent.
    pub ttl: Duration,
}

/// Who asks for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// A name for people, such as host and process id.
    pub holder: String,
    /// The token that the holder's writes will carry.
    pub token: Uuid,
    /// How long the holder may be silent before a standby takes over.
    pub ttl: Duration,
}

/// A connection that reads and writes the lease row, and nothing else.
///
/// No clock of the database takes part: a standby watches whether the row moves, on its own clock.
pub trait Lease: Send + 'static {
    /// The row as it stands.
    fn read(&mut self) -> impl Future<Output = Result<LeaseRow, StoreError>> + Send;

    /// Takes the lease if the row is still exactly `seen`; `None` if it has moved.
    fn take(
        &mut self,
        seen: &LeaseRow,
        claim: &Claim,
    ) -> impl Future<Output = Result<Option<Fence>, StoreError>> + Send;

    /// Says that the holder lives. `false` if another holds the lease.
    fn renew(&mut self, fence: Fence) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Says that the process lives on after a term whose lease it lost, so that the term does not count as one in
    /// which a process died.
    fn outlived(&mut self, fence: Fence) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the lease back, so that a standby need not wait. Does nothing if another holds it.
    fn release(&mut self, fence: Fence) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Wakes the active relay, wherever it runs; called by standbys whose own process has committed something.
    /// A store without such signals does nothing, and the active relay finds the rows by polling.
    fn wake_active(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
