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
    last_was_quick: bool,
}

impl TransactionSize {
    pub(super) fn new(config: &RelayConfig) -> Self {
        Self {
            records: config.max_in_flight_records,
            bytes: config.page_bytes,
            last_was_quick: false,
        }
    }

    /// Whether so many pages may go together.
    pub(super) fn holds(&self, records: usize, bytes: usize) -> bool {
        let times = if self.last_was_quick { MORE } else { 1 };
        records <= self.records && bytes <= self.bytes.saturating_mul(times)
    }

    /// One was committed, so long after its first record was handed over.
    pub(super) fn committed_after(&mut self, took: Duration) {
        self.last_was_quick = took < QUICK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_one_follows_a_quick_one_only() {
        let config = RelayConfig::new().max_in_flight_records(100).page_bytes(1_000);
        let mut size = TransactionSize::new(&config);
        assert!(size.holds(100, 1_000));
        assert!(!size.holds(100, 1_001), "nothing is known of the line yet");
        size.committed_after(QUICK / 2);
        assert!(size.holds(100, 2_000));
        assert!(!size.holds(100, 2_001) && !size.holds(101, 2_000));
        size.committed_after(QUICK);
        assert!(!size.holds(100, 1_001), "the last one was slow");
    }
}
