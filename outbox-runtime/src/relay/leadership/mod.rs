//! Which relay is the active one: getting the lease, renewing it, and giving it back.
//!
//! ```text
//!             Candidate::obtain                  Leadership
//!  standby ────────────────────────> leader ─────────────────────> standby
//!     │  the lease is free, or its row has       │  released: a stop, or the work is done
//!     │  not moved for the holder's duration     │  lost: another relay has taken it
//!     └──────────── looks again ──┘              │  over: no renewal in time, by this relay's own clock
//!                                                └──── renewed at a third of its duration
//! ```
//!
//! `election` is the rule by which a standby may take the lease, `standby` follows it on a connection, and `renewal` keeps
//! the lease in a task of its own. `clock` counts time that goes on while the machine sleeps. No two clocks are compared:
//! the holder counts from before it asks for a renewal, a standby from after it has seen it, so the holder's time is
//! always over first.

pub(super) mod clock;
mod election;
mod renewal;
mod standby;

use std::sync::Arc;

use self::clock::Clock;
use self::renewal::Renewal;
use crate::failpoint::{self, Failpoint};
use crate::store::Fence;

pub(super) use self::standby::{Candidate, LastTerm};

/// One leader term: the time in which this relay is the active one.
pub(super) struct Leadership {
    fence: Fence,
    clock: Arc<dyn Clock>,
    renewal: Renewal,
}

impl Leadership {
    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether the lease no longer protects what this relay does.
    pub(super) fn is_over(&self) -> bool {
        self.clock.now() >= self.renewal.valid_until()
    }

    /// Waits until [`is_over`](Self::is_over). Cancel safe.
    pub(super) async fn over(&self) {
        let mut deadline = self.renewal.deadline();
        loop {
            let left = deadline.borrow_and_update().saturating_sub(self.clock.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                changed = deadline.changed() => {
                    if changed.is_err() {
                        // The renewer has ended: no renewal will come.
                        tokio::time::sleep(left).await;
                    }
                }
            }
        }
    }

    /// Gives the lease back, if it still is this relay's, so that no standby has to wait.
    pub(super) async fn release(self) {
        failpoint::reach(Failpoint::LeaseReleased);
        self.renewal.release().await;
    }
}
