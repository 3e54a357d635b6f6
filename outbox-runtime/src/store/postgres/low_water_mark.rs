//! Below which seq no late rows can come any more, so that the search for them need not look into every partition.

use super::snapshot::{Snapshot, Xid};

/// Rises as the transactions that could still commit rows below it end.
#[derive(Debug, Default)]
pub(super) struct LowWaterMark {
    reached: i64,
    /// A higher one, once every transaction below this id has ended.
    next: Option<(i64, Xid)>,
}

impl LowWaterMark {
    /// Takes note that every row up to `high`, committed or not, is of a transaction below `bound`.
    pub(super) fn learn(&mut self, high: i64, bound: Xid) {
        if self.next.is_none() && high > self.reached {
            self.next = Some((high, bound));
        }
    }

    /// Every row up to this seq that is ever seen is seen by `from`, which is no older than those asked about
    /// before.
    pub(super) fn below(&mut self, from: &Snapshot) -> i64 {
        if let Some((high, bound)) = self.next
            && bound <= from.xmin()
        {
            self.reached = high;
            self.next = None;
        }
        self.reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn it_rises_when_the_last_transaction_that_could_write_below_has_ended() {
        let mut low_water_mark = LowWaterMark::default();
        assert_eq!(low_water_mark.below(&snapshot("10:10:")), 0);
        low_water_mark.learn(500, 20);
        // What is learned meanwhile does not defer it.
        low_water_mark.learn(700, 30);
        assert_eq!(low_water_mark.below(&snapshot("15:25:15")), 0);
        assert_eq!(low_water_mark.below(&snapshot("19:25:19")), 0);
        assert_eq!(low_water_mark.below(&snapshot("20:25:20")), 500);
        low_water_mark.learn(500, 40);
        low_water_mark.learn(700, 50);
        assert_eq!(low_water_mark.below(&snapshot("49:60:49")), 500);
        assert_eq!(low_water_mark.below(&snapshot("50:60:")), 700);
    }
}
