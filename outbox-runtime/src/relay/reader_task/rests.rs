//! How long the reader task rests when there is nothing to read.

use std::time::Duration;

/// Short while there is work, longer and longer while there is none.
pub(super) struct Rests {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Rests {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    pub(super) fn found_something(&mut self) {
        self.next = self.min;
    }

    pub(super) fn next_rest(&mut self) -> Duration {
        let rest = self.next;
        self.next = (rest * 3 / 2).min(self.max);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_until_something_is_found() {
        let mut rests = Rests::new(Duration::from_millis(4), Duration::from_millis(10));
        let taken: Vec<u64> = (0..5).map(|_| rests.next_rest().as_millis() as u64).collect();
        assert_eq!(taken, [4, 6, 9, 10, 10]);
        rests.found_something();
        assert_eq!(rests.next_rest(), Duration::from_millis(4));
    }
}
