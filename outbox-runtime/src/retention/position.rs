//! Where a pruner is, from one round to the next.

use std::time::Duration;

use tokio::time::Instant;

use super::marks::Marks;
use super::pace::Pace;
use super::policy::Retention;
use crate::store::{PrunedPiece, Pruning, StoreError};

/// How often all rows are looked at that a pruner has passed.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);

/// How long a round lasts at the most: under a steady stream of messages there is always something to delete.
const ROUND: Duration = Duration::from_secs(30);

/// Rows that are weighed at once.
const WEIGHED_AT_ONCE: u32 = 10_000;

/// Adds up the size of messages that came since this was done last.
pub(super) async fn weigh(pruning: &mut dyn Pruning, at: &mut Position) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        let weighed = pruning.weigh(at.weighed_to, WEIGHED_AT_ONCE).await?;
        let Some(last) = weighed.last else {
            return Ok(());
        };
        at.weighed_to = last;
        at.bytes = at.bytes.saturating_add(weighed.bytes);
        at.rest(began).await;
    }
}

/// Where a pruner is.
pub(super) struct Position {
    pub(super) marks: Marks,
    pub(super) pace: Pace,
    last_sweep: Instant,
    /// The log's size, of messages up to the one that was weighed last.
    pub(super) bytes: u64,
    weighed_to: i64,
    /// The last message that was deleted because of its age.
    pub(super) old_to: i64,
    /// All messages are looked at, once.
    pub(super) everywhere: bool,
    pub(super) dry_run: bool,
    round_began: Instant,
    /// The round ended before its work was done.
    pub(super) has_more: bool,
}

impl Position {
    pub(super) fn new(retention: &Retention) -> Self {
        Self {
            marks: Marks::default(),
            pace: Pace::new(retention.batch),
            last_sweep: Instant::now(),
            bytes: 0,
            weighed_to: 0,
            old_to: 0,
            everywhere: false,
            dry_run: false,
            round_began: Instant::now(),
            has_more: false,
        }
    }

    pub(super) fn begin_round(&mut self) {
        self.round_began = Instant::now();
        self.has_more = false;
    }

    /// Whether this round has lasted long enough. One that looks at everything ends by itself.
    pub(super) fn round_is_over(&mut self) -> bool {
        let over = !self.everywhere && self.round_began.elapsed() >= ROUND;
        self.has_more |= over;
        over
    }

    pub(super) fn sweep_is_due(&mut self) -> bool {
        let due = self.last_sweep.elapsed() >= SWEEP_EVERY;
        if due {
            self.last_sweep = Instant::now();
        }
        due
    }

    /// Takes note that messages are gone. Those that were never weighed are no part of the size.
    pub(super) fn shrink(&mut self, pruned: &PrunedPiece) {
        if pruned.last_deleted.is_some_and(|last| last <= self.weighed_to) {
            self.bytes = self.bytes.saturating_sub(pruned.bytes);
        }
    }

    pub(super) async fn rest(&mut self, began: Instant) {
        let rest = self.pace.rest_after(began.elapsed());
        tokio::time::sleep(rest).await;
    }
}
