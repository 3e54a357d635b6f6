//! The cursor's algorithm, without a database.
//!
//! A *window* lies between two *edges*. An edge is a snapshot and a bound on seq: no row that the snapshot sees
//! has a greater seq. A window's rows are those that its upper edge sees and its lower edge does not: first the
//! *late* ones, whose seq is at or below the lower bound because their transaction was running then, and after
//! them the *new* ones. Windows follow each other edge to edge, so each row is in exactly one of them.

use super::snapshot::{Snapshot, Xid};

/// A moment of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) snapshot: Snapshot,
    /// At or above the seq of each row that the snapshot sees.
    pub(crate) high: i64,
    /// Greater than the transaction of each row with a seq up to `high`, if it is known. It keeps the search
    /// for late transactions short when much has happened since.
    pub(crate) xid_bound: Option<Xid>,
}

/// The rows between two edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Edge,
    pub(crate) to: Edge,
}

/// Transactions from `low` on and below `below`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct XidRange {
    pub(crate) low: Xid,
    pub(crate) below: Xid,
}

impl Edge {
    /// The log's beginning.
    pub(crate) fn before_everything() -> Self {
        Self {
            snapshot: Snapshot::before_everything(),
            high: 0,
            xid_bound: None,
        }
    }
}

impl Window {
    /// Whether a committed row belongs to this window. The definition; the queries have to agree with it.
    #[cfg(test)]
    pub(crate) fn contains(&self, xid: Xid, seq: i64) -> bool {
        let fresh = self.to.snapshot.sees(xid) && !self.from.snapshot.sees(xid);
        debug_assert!(
            !fresh || seq <= self.to.high,
            "a visible row lies above the edge's bound"
        );
        fresh
    }

    /// Transactions that were running at the lower edge, stood in its list, and have finished since.
    pub(crate) fn late_listed(&self) -> impl Iterator<Item = Xid> {
        self.from
            .snapshot
            .running()
            .iter()
            .copied()
            .filter(|xid| self.to.snapshot.sees(*xid))
    }

    /// Where transactions may lie that were running at the lower edge but stood in no list, and have finished
    /// since: at or above its `xmax`, below what its bound allows, and not running at the upper edge. Their
    /// rows have to be looked for. Leaving out what still runs keeps a bulk load that is open for hours from
    /// being walked through at each look.
    pub(crate) fn late_unlisted(&self) -> Vec<XidRange> {
        if self.from.high == 0 {
            return Vec::new();
        }
        let end = self
            .to
            .snapshot
            .xmax()
            .min(self.from.xid_bound.unwrap_or(Xid::MAX));
        let mut low = self.from.snapshot.xmax();
        let mut ranges = Vec::new();
        for &running in self.to.snapshot.running() {
            if running < low || running >= end {
                continue;
            }
            if low < running {
                ranges.push(XidRange { low, below: running });
            }
            low = running + 1;
        }
        if low < end {
            ranges.push(XidRange { low, below: end });
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A database in miniature: what it takes to decide who sees whom.
    #[derive(Debug, Default)]
    struct Cluster {
        next_xid: Xid,
        last_seq: i64,
        running: Vec<(Xid, Vec<i64>)>,
        latest_finished: Xid,
        committed: Vec<(Xid, i64)>,
        /// By seq: how many rows had been committed when the row was inserted. Those precede it.
        predecessors: Vec<usize>,
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// A transaction takes its id.
        Begin,
        /// The nth running transaction inserts a row.
        Insert(usize),
        Commit(usize),
        Abort(usize),
        /// The relay looks; the sequence may move between its snapshot and its look at the sequence.
        Look {
            inserts_between: Vec<usize>,
            with_bound: bool,
        },
    }

    impl Cluster {
        fn new() -> Self {
            Self {
                next_xid: 100,
                latest_finished: 99,
                ..Self::default()
            }
        }

        fn snapshot(&self) -> Snapshot {
            let xmax = self.latest_finished + 1;
            let running: Vec<Xid> = self
                .running
                .iter()
                .map(|(xid, _)| *xid)
                .filter(|xid| *xid < xmax)
                .collect();
            let xmin = running.iter().copied().min().unwrap_or(xmax);
            Snapshot::new(xmin, xmax, running)
        }

        fn insert(&mut self, nth: usize) {
            if self.running.is_empty() {
                return;
            }
            self.last_seq += 1;
            self.predecessors.push(self.committed.len());
            let index = nth % self.running.len();
            self.running[index].1.push(self.last_seq);
        }

        fn finish(&mut self, nth: usize, commits: bool) {
            if self.running.is_empty() {
                return;
            }
            let (xid, rows) = self.running.remove(nth % self.running.len());
            self.latest_finished = self.latest_finished.max(xid);
            if commits {
                self.committed.extend(rows.into_iter().map(|seq| (xid, seq)));
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Begin),
            6 => (0usize..8).prop_map(Step::Insert),
            3 => (0usize..8).prop_map(Step::Commit),
            1 => (0usize..8).prop_map(Step::Abort),
            3 => (proptest::collection::vec(0usize..8, 0..3), any::<bool>())
                .prop_map(|(inserts_between, with_bound)| Step::Look { inserts_between, with_bound }),
        ]
    }

    /// What the queries do: late rows by candidate transactions, new rows by seq.
    fn read(window: &Window, committed: &[(Xid, i64)]) -> Vec<(Xid, i64)> {
        let listed: Vec<Xid> = window.late_listed().collect();
        let ranges = window.late_unlisted();
        let late = |xid: Xid| {
            listed.contains(&xid) || ranges.iter().any(|range| (range.low..range.below).contains(&xid))
        };
        let mut rows: Vec<(Xid, i64)> = committed
            .iter()
            .copied()
            .filter(|&(xid, seq)| {
                if seq <= window.from.high {
                    late(xid)
                } else {
                    seq <= window.to.high && window.to.snapshot.sees(xid)
                }
            })
            .collect();
        rows.sort_unstable_by_key(|(_, seq)| *seq);
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn each_committed_row_is_read_once_and_not_before_its_predecessors(
            steps in proptest::collection::vec(step(), 1..120)
        ) {
            let mut cluster = Cluster::new();
            let mut tip = Edge::before_everything();
            let mut read_so_far: Vec<(Xid, i64)> = Vec::new();
            let look = |cluster: &mut Cluster, tip: &mut Edge, between: &[usize], with_bound: bool| {
                let snapshot = cluster.snapshot();
                for nth in between {
                    cluster.insert(*nth);
                }
                let high = cluster.last_seq;
                let xid_bound = with_bound.then(|| {
                    cluster.next_xid += 1;
                    cluster.next_xid - 1
                });
                let to = Edge { snapshot, high, xid_bound };
                let window = Window { from: std::mem::replace(tip, to.clone()), to };
                let rows = read(&window, &cluster.committed);
                let expected: Vec<_> = {
                    let mut rows: Vec<_> =
                        cluster.committed.iter().copied().filter(|&(xid, seq)| window.contains(xid, seq)).collect();
                    rows.sort_unstable_by_key(|(_, seq)| *seq);
                    rows
                };
                (rows, expected)
            };
            for step in steps {
                match step {
                    Step::Begin => {
                        cluster.running.push((cluster.next_xid, Vec::new()));
                        cluster.next_xid += 1;
                    }
                    Step::Insert(nth) => cluster.insert(nth),
                    Step::Commit(nth) => cluster.finish(nth, true),
                    Step::Abort(nth) => cluster.finish(nth, false),
                    Step::Look { inserts_between, with_bound } => {
                        let (rows, expected) = look(&mut cluster, &mut tip, &inserts_between, with_bound);
                        prop_assert_eq!(&rows, &expected);
                        read_so_far.extend(rows);
                    }
                }
            }
            while !cluster.running.is_empty() {
                cluster.finish(0, true);
            }
            let (rows, expected) = look(&mut cluster, &mut tip, &[], true);
            prop_assert_eq!(&rows, &expected);
            read_so_far.extend(rows);

            let mut once = read_so_far.clone();
            once.sort_unstable();
            let mut committed = cluster.committed.clone();
            committed.sort_unstable();
            prop_assert_eq!(once, committed, "each row once");
            let place = |row: &(Xid, i64)| read_so_far.iter().position(|read| read == row);
            for (index, row) in read_so_far.iter().enumerate() {
                for predecessor in &cluster.committed[..cluster.predecessors[row.1 as usize - 1]] {
                    prop_assert!(place(predecessor) < Some(index), "{predecessor:?} precedes {row:?}");
                }
                let of_its_transaction = read_so_far[..index].iter().filter(|(xid, _)| *xid == row.0);
                for earlier in of_its_transaction {
                    prop_assert!(earlier.1 < row.1, "{row:?} was inserted before {earlier:?}");
                }
            }
        }
    }

    #[test]
    fn transactions_above_xmax_that_were_running_are_looked_for() {
        let from = Edge {
            snapshot: "10:12:10".parse().unwrap(),
            high: 50,
            xid_bound: None,
        };
        let to = Edge {
            snapshot: "15:20:15,17".parse().unwrap(),
            high: 60,
            xid_bound: None,
        };
        let window = Window { from, to };
        assert_eq!(window.late_listed().collect::<Vec<_>>(), [10]);
        assert_eq!(
            window.late_unlisted(),
            [
                XidRange { low: 12, below: 15 },
                XidRange { low: 16, below: 17 },
                XidRange { low: 18, below: 20 }
            ]
        );
    }

    #[test]
    fn the_bound_ends_the_search() {
        let from = Edge {
            snapshot: "12:12:".parse().unwrap(),
            high: 50,
            xid_bound: Some(14),
        };
        let to = Edge {
            snapshot: "9000:9000:".parse().unwrap(),
            high: 60,
            xid_bound: None,
        };
        assert_eq!(
            Window { from, to }.late_unlisted(),
            [XidRange { low: 12, below: 14 }]
        );
    }
}
