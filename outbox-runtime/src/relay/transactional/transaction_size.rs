//! How much a transaction holds.

use std::time::Duration;

use crate::relay::RelayConfig;

/// A transaction that is committed within this time was quick. The broker aborts one after ten seconds, unless the user
/// says otherwise.
const QUICK: Duration = Duration::from_secs(1);

/// How much more the one after a quick one may hold.
const MORE: usize = 2;

/// Each transaction has a price of its own, so a large one is cheaper. But one that takes too long is aborted, and its
/// window is sent again page by page: a larger one is only tried where the one before was quick.
#[derive(Debug)]
pub(super) struct TransactionSize {
    records: usize,
    bytes: usize,
    /// Of a transaction after a quick one.
    more_bytes: usize,
    last_was_quick: bool,
}

impl TransactionSize {
    pub(super) fn new(config: &RelayConfig) -> Self {
        Self {
            records: config.max_in_flight_records,
            bytes: config.page_bytes,
            more_bytes: (MORE.saturating_mul(config.page_bytes))
                .min(config.max_in_flight_bytes)
                .max(config.page_bytes),
            last_was_quick: false,
        }
    }

    /// Whether so many pages may go together.
    pub(super) fn holds(&self, records: usize, bytes: usize) -> bool {
        let most = if self.last_was_quick {
            self.more_bytes
        } else {
            self.bytes
        };
        records <= self.records && bytes <= most
    }

    /// One with so many bytes was committed, so long after its first record was handed over. That a small one was quick
    /// says nothing of a large one.
    pub(super) fn committed(&mut self, bytes: usize, took: Duration) {
        if took >= QUICK {
            self.last_was_quick = false;
        } else if bytes >= self.bytes / 2 {
            self.last_was_quick = true;
        }
    }

    /// One was aborted.
    pub(super) fn aborted(&mut self) {
        self.last_was_quick = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = QUICK;
    const FAST: Duration = Duration::from_millis(10);

    #[test]
    fn a_larger_one_follows_a_quick_one_only() {
        let config = RelayConfig::new().max_in_flight_records(100).page_bytes(1_000);
        let mut size = TransactionSize::new(&config);
        assert!(size.holds(100, 1_000));
        assert!(!size.holds(100, 1_001), "nothing is known of the line yet");
        size.committed(499, FAST);
        assert!(!size.holds(100, 1_001), "a small one says nothing");
        size.committed(500, FAST);
        assert!(size.holds(100, 2_000));
        assert!(!size.holds(100, 2_001) && !size.holds(101, 2_000));
        size.committed(1, FAST);
        assert!(size.holds(100, 2_000), "nor does it say the opposite");
        size.committed(1, SLOW);
        assert!(!size.holds(100, 1_001), "the last one was slow");
        size.committed(1_000, FAST);
        size.aborted();
        assert!(!size.holds(100, 1_001), "the last one was aborted");
    }

    #[test]
    fn what_may_be_in_flight_bounds_it() {
        let config = RelayConfig::new().page_bytes(1_000).max_in_flight_bytes(1_500);
        let mut size = TransactionSize::new(&config);
        size.committed(1_000, FAST);
        assert!(size.holds(1, 1_500) && !size.holds(1, 1_501));
    }
}
