//! Where in the log a pruner is: it goes on from where it was, and sweeps up what was left behind.

use crate::store::PrunedPiece;

/// Rows below the low mark are gone, but for those that had to stay when it passed: they settled late, or are dated later
/// than their neighbours. A sweep looks at these again. It is rare, because it passes over what vacuum has not yet removed.
#[derive(Debug, Default)]
pub(super) struct Marks {
    low: i64,
    sweep: Option<i64>,
}

impl Marks {
    /// Rows above this one are next.
    pub(super) fn after(&self) -> i64 {
        self.sweep.unwrap_or(self.low)
    }

    /// Looks at all rows again, from the beginning.
    pub(super) fn begin_sweep(&mut self) {
        self.sweep = Some(0);
    }

    /// Takes note of what became of the rows above [`after`](Self::after). Returns whether to go on.
    pub(super) fn note(&mut self, piece: &PrunedPiece) -> bool {
        let low = piece.last_deleted.map_or(self.low, |last| last.max(self.low));
        if self.sweep.is_some() {
            self.sweep = piece.last_looked_at.filter(|last| *last < self.low);
            self.low = low;
            // Then the front's turn is next.
            return true;
        }
        self.low = low;
        piece.deleted > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A log in which each row may or may not go. Does what a store does.
    fn piece(log: &mut BTreeMap<i64, bool>, after: i64, rows: usize) -> PrunedPiece {
        let looked_at: Vec<(i64, bool)> = log
            .range(after + 1..)
            .take(rows)
            .map(|(seq, may_go)| (*seq, *may_go))
            .collect();
        let gone: Vec<i64> = looked_at
            .iter()
            .filter(|(_, may_go)| *may_go)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in &gone {
            log.remove(seq);
        }
        PrunedPiece {
            last_looked_at: looked_at.last().map(|(seq, _)| *seq),
            last_deleted: gone.last().copied(),
            deleted: gone.len() as u64,
            bytes: 0,
        }
    }

    /// Goes on until there is nothing to do, and says how many pieces that took.
    fn round(log: &mut BTreeMap<i64, bool>, marks: &mut Marks, rows: usize) -> usize {
        let mut pieces = 0;
        loop {
            pieces += 1;
            assert!(pieces < 10_000, "it does not end");
            let piece = piece(log, marks.after(), rows);
            if !marks.note(&piece) {
                return pieces;
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// New rows, which may or may not go at once.
        Write(Vec<bool>),
        /// The nth row of those that are there may go from now on.
        Settle(usize),
        Round,
        Sweep,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            proptest::collection::vec(any::<bool>(), 1..8).prop_map(Step::Write),
            any::<usize>().prop_map(Step::Settle),
            Just(Step::Round),
            Just(Step::Sweep),
        ]
    }

    proptest! {
        #[test]
        fn a_sweep_leaves_nothing_behind_and_no_round_takes_what_must_stay(
            steps in proptest::collection::vec(step(), 1..60),
            rows in 1usize..6,
        ) {
            let (mut log, mut marks, mut next) = (BTreeMap::new(), Marks::default(), 1);
            for step in steps {
                match step {
                    Step::Write(new) => for may_go in new {
                        log.insert(next, may_go);
                        next += 1;
                    },
                    Step::Settle(nth) => {
                        let count = log.len();
                        if let Some(may_go) = log.values_mut().nth(nth % count.max(1)) {
                            *may_go = true;
                        }
                    }
                    Step::Round => {
                        round(&mut log, &mut marks, rows);
                    }
                    Step::Sweep => {
                        marks.begin_sweep();
                        round(&mut log, &mut marks, rows);
                        let behind = log.range(..=marks.low).any(|(_, may_go)| *may_go);
                        prop_assert!(!behind, "{log:?} below {}", marks.low);
                        // The front has ended before rows that stay.
                        let front: Vec<bool> = log.range(marks.low + 1..).take(rows).map(|(_, may_go)| *may_go).collect();
                        prop_assert!(front.iter().all(|may_go| !may_go));
                    }
                }
            }
        }
    }

    #[test]
    fn an_idle_round_is_one_look() {
        let mut log: BTreeMap<i64, bool> = (1..=1_000).map(|seq| (seq, seq <= 900)).collect();
        let mut marks = Marks::default();
        round(&mut log, &mut marks, 10);
        assert_eq!((log.len(), marks.after()), (100, 900));
        assert_eq!(round(&mut log, &mut marks, 10), 1);
    }
}
