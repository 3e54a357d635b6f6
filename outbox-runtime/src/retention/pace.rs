//! How fast messages are deleted: as fast as the database bears.

use std::time::Duration;

/// A deletion may take so long. Whoever needs the same rows or pages waits no longer than that.
const TARGET: Duration = Duration::from_millis(50);

/// The pause after a deletion, in times of what it took: a fifth of the time at the most is spent on deleting.
const REST: u32 = 4;

const SHORTEST_REST: Duration = Duration::from_millis(5);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Fewer rows are not worth a transaction.
const FEWEST: u32 = 50;

/// The number of rows of a deletion, and the rest after it.
#[derive(Debug)]
pub(super) struct Pace {
    rows: u32,
    most: u32,
}

impl Pace {
    /// At most so many rows at once.
    pub(super) fn new(most: u32) -> Self {
        Self {
            rows: most.min(500),
            most,
        }
    }

    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Takes note of how long a deletion took, and says how long to rest.
    pub(super) fn rest_after(&mut self, took: Duration) -> Duration {
        self.rows = if took > TARGET {
            (self.rows / 2).max(FEWEST)
        } else if took < TARGET / 4 {
            self.rows.saturating_mul(2)
        } else {
            self.rows
        }
        .min(self.most);
        took.saturating_mul(REST).clamp(SHORTEST_REST, LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_keeps_within_its_bounds_and_rests_longer_than_it_works(
            most in 1u32..100_000,
            took in proptest::collection::vec(0u64..5_000, 1..60),
        ) {
            let mut pace = Pace::new(most);
            for took in took.into_iter().map(Duration::from_millis) {
                let before = pace.rows();
                let rest = pace.rest_after(took);
                prop_assert!((1..=most).contains(&pace.rows()));
                prop_assert!(pace.rows() >= FEWEST.min(most));
                prop_assert!(rest >= SHORTEST_REST && rest <= LONGEST_REST);
                prop_assert!(rest >= took * REST || rest == LONGEST_REST);
                prop_assert!(took <= TARGET || pace.rows() <= before.max(FEWEST));
            }
        }

        /// A database that needs the same time for each row.
        #[test]
        fn it_settles_where_a_deletion_takes_no_longer_than_it_may(per_row in 1u64..1_000) {
            let mut pace = Pace::new(100_000);
            let mut took = Duration::ZERO;
            for _ in 0..30 {
                took = Duration::from_micros(per_row * u64::from(pace.rows()));
                pace.rest_after(took);
            }
            prop_assert!(took <= TARGET * 2, "{took:?}");
        }
    }
}
