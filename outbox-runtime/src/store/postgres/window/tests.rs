use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::behind;
use super::super::low_water_mark::LowWaterMark;
use super::*;

/// A database in miniature: what it takes to decide who sees whom.
#[derive(Debug, Default)]
struct Cluster {
    next_xid: Xid,
    last_seq: i64,
    running: Vec<(Xid, Vec<i64>)>,
    latest_finished: Xid,
    committed: Vec<(Xid, i64)>,
    /// By seq, what was so when the row was inserted.
    inserted: BTreeMap<i64, Inserted>,
    /// How often the sequence went back.
    went_back: usize,
}

#[derive(Debug)]
struct Inserted {
    /// How many rows had been committed. Those precede it.
    predecessors: usize,
    went_back: usize,
}

#[derive(Debug, Clone)]
enum Step {
    /// A transaction takes its id.
    Begin,
    /// The nth running transaction inserts a row.
    Insert(usize),
    Commit(usize),
    Abort(usize),
    /// The sequence goes on from a number that it has given out before, or from its beginning.
    GoBack(usize),
    /// The relay looks, and meanwhile others write: first its snapshot is taken, then the sequence is read, and
    /// after it which transaction id is next.
    Look {
        before_sequence: Vec<Write>,
        before_next: Vec<Write>,
        edge: Lists,
    },
    /// A pruner deletes what the nth cursor settles: the newest one, or one that it has known for long.
    Prune(usize),
}

#[derive(Debug, Clone)]
enum Write {
    Begin,
    Insert(usize),
}

/// What an edge says of transactions at or above its snapshot's `xmax`.
#[derive(Debug, Clone, Copy)]
enum Lists {
    /// It lists all that were running.
    All,
    /// They are below a bound.
    Bound,
    Nothing,
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

    fn begin(&mut self) {
        self.running.push((self.next_xid, Vec::new()));
        self.next_xid += 1;
    }

    fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Begin => self.begin(),
                Write::Insert(nth) => self.insert(*nth),
            }
        }
    }

    fn edge(&mut self, before_sequence: &[Write], before_next: &[Write], lists: Lists) -> Edge {
        let snapshot = self.snapshot();
        let seen = self.committed.iter().map(|(_, seq)| *seq).max();
        self.write(before_sequence);
        let high = seen.map_or(self.last_seq, |seen| seen.max(self.last_seq));
        self.write(before_next);
        let next = self.next_xid;
        match lists {
            Lists::All => Edge::new(snapshot.listing_all_below(next), high, None),
            Lists::Bound => Edge::new(snapshot, high, Some(next)),
            Lists::Nothing => Edge::new(snapshot, high, None),
        }
    }

    fn insert(&mut self, nth: usize) {
        if self.running.is_empty() {
            return;
        }
        self.last_seq += 1;
        // The primary key refuses a number that is in use, and the writer tries again.
        while self.inserted.contains_key(&self.last_seq) {
            self.last_seq += 1;
        }
        let inserted = Inserted {
            predecessors: self.committed.len(),
            went_back: self.went_back,
        };
        self.inserted.insert(self.last_seq, inserted);
        let index = nth % self.running.len();
        self.running[index].1.push(self.last_seq);
    }

    fn go_back(&mut self, nth: usize) {
        self.last_seq = nth as i64 % (self.last_seq + 1);
        self.went_back += 1;
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
        1 => (0usize..40).prop_map(Step::GoBack),
        3 => (writes(), writes(), lists()).prop_map(|(before_sequence, before_next, edge)| Step::Look {
            before_sequence,
            before_next,
            edge,
        }),
        2 => (0usize..8).prop_map(Step::Prune),
    ]
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = prop_oneof![Just(Write::Begin), (0usize..8).prop_map(Write::Insert)];
    proptest::collection::vec(write, 0..3)
}

fn lists() -> impl Strategy<Value = Lists> {
    prop_oneof![
        4 => Just(Lists::All),
        1 => Just(Lists::Bound),
        1 => Just(Lists::Nothing),
    ]
}

/// What a reader does: late rows by candidate transactions, new rows by seq, and where others wrote below the lower
/// bound, all rows that lie there. In partitions, late rows are looked for above a low-water mark.
fn read(
    window: &Window,
    committed: &[(Xid, i64)],
    low_water_mark: &mut LowWaterMark,
    partitioned: bool,
) -> Vec<(Xid, i64)> {
    if let Some(bound) = window.from.xid_bound {
        low_water_mark.learn(window.from.high, bound);
    }
    let lowest = match partitioned {
        true => low_water_mark.below(&window.from.snapshot),
        false => 0,
    };
    let unasked = behind::unasked(window, lowest);
    let is_below = |&(xid, seq): &(Xid, i64)| unasked.iter().any(|asked| asked.asks_about(xid, seq));
    let below = committed.iter().any(is_below);
    if below {
        *low_water_mark = LowWaterMark::default();
    }
    let listed: Vec<Xid> = window.late_listed().collect();
    let unlisted = window.late_unlisted();
    let late = |xid: Xid| {
        let unlisted = unlisted.is_some_and(|range| (range.low..range.below).contains(&xid));
        listed.contains(&xid) || (unlisted && window.to.snapshot.sees(xid))
    };
    let mut rows: Vec<(Xid, i64)> = committed
        .iter()
        .copied()
        .filter(|&(xid, seq)| match seq > window.from.high {
            true => seq <= window.to.high && window.to.snapshot.sees(xid),
            false if below => window.to.snapshot.sees(xid) && !window.from.snapshot.sees(xid),
            false => late(xid) && seq > lowest,
        })
        .collect();
    rows.sort_unstable_by_key(|(_, seq)| *seq);
    rows
}

/// What the definition says.
fn expected(window: &Window, committed: &[(Xid, i64)]) -> Vec<(Xid, i64)> {
    let belongs = |&(xid, seq): &(Xid, i64)| window.contains(xid, seq);
    let mut rows: Vec<_> = committed.iter().copied().filter(belongs).collect();
    rows.sort_unstable_by_key(|(_, seq)| *seq);
    rows
}

/// Each row was read once and behind its predecessors, and those of one transaction as they were inserted.
/// `read_by_then` says how much had been read each time that the sequence went back.
fn check_order(
    cluster: &Cluster,
    read_so_far: &[(Xid, i64)],
    read_by_then: &[usize],
) -> Result<(), TestCaseError> {
    let mut once = read_so_far.to_vec();
    once.sort_unstable();
    let mut committed = cluster.committed.clone();
    committed.sort_unstable();
    prop_assert_eq!(once, committed, "each row once");
    let place = |row: &(Xid, i64)| read_so_far.iter().position(|read| read == row);
    // What was written before the sequence went back and not read by then is in no order with what came after.
    let in_order = |earlier: &(Xid, i64), later: &(Xid, i64)| {
        let (first, second) = (
            cluster.inserted[&earlier.1].went_back,
            cluster.inserted[&later.1].went_back,
        );
        first == second || place(earlier) < Some(read_by_then[first])
    };
    for (index, row) in read_so_far.iter().enumerate() {
        let before = &cluster.committed[..cluster.inserted[&row.1].predecessors];
        for predecessor in before.iter().filter(|predecessor| in_order(predecessor, row)) {
            prop_assert!(
                place(predecessor) < Some(index),
                "{predecessor:?} precedes {row:?}"
            );
        }
        let of_its_transaction = read_so_far[..index].iter().filter(|(xid, _)| *xid == row.0);
        let then = |row: &(Xid, i64)| cluster.inserted[&row.1].went_back;
        for earlier in of_its_transaction.filter(|earlier| then(earlier) == then(row)) {
            prop_assert!(earlier.1 < row.1, "{row:?} was inserted before {earlier:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn each_committed_row_is_read_once_and_not_before_its_predecessors(
        steps in proptest::collection::vec(step(), 1..120),
        partitioned in any::<bool>(),
    ) {
        let mut cluster = Cluster::new();
        let mut tip = Edge::before_everything();
        let mut low_water_mark = LowWaterMark::default();
        let mut read_so_far: Vec<(Xid, i64)> = Vec::new();
        // How much had been read when the sequence went back.
        let mut read_by_then: Vec<usize> = Vec::new();
        let mut pruned: BTreeSet<(Xid, i64)> = BTreeSet::new();
        let mut cursors = vec![tip.clone()];
        let mut look = |cluster: &Cluster, pruned: &BTreeSet<(Xid, i64)>, to: Edge| {
            let window = Window { from: std::mem::replace(&mut tip, to.clone()), to };
            let there = cluster.committed.iter().copied().filter(|row| !pruned.contains(row));
            let there: Vec<(Xid, i64)> = there.collect();
            let rows = read(&window, &there, &mut low_water_mark, partitioned);
            prop_assert_eq!(&rows, &expected(&window, &cluster.committed));
            Ok(rows)
        };
        for step in steps {
            match step {
                Step::Begin => cluster.begin(),
                Step::Insert(nth) => cluster.insert(nth),
                Step::Commit(nth) => cluster.finish(nth, true),
                Step::Abort(nth) => cluster.finish(nth, false),
                Step::GoBack(nth) => {
                    cluster.go_back(nth);
                    read_by_then.push(read_so_far.len());
                }
                Step::Look { before_sequence, before_next, edge } => {
                    let to = cluster.edge(&before_sequence, &before_next, edge);
                    cursors.push(to.clone());
                    read_so_far.extend(look(&cluster, &pruned, to)?);
                }
                Step::Prune(nth) => {
                    let cursor = cursors.iter().rev().nth(nth).unwrap_or(&cursors[0]);
                    for &(xid, seq) in cluster.committed.iter().filter(|(xid, seq)| cursor.settles(*xid, *seq)) {
                        prop_assert!(read_so_far.contains(&(xid, seq)), "{xid}/{seq} was not read before {cursor:?}");
                        pruned.insert((xid, seq));
                    }
                }
            }
        }
        while !cluster.running.is_empty() {
            cluster.finish(0, true);
        }
        let to = cluster.edge(&[], &[], Lists::All);
        read_so_far.extend(look(&cluster, &pruned, to)?);
        check_order(&cluster, &read_so_far, &read_by_then)?;
    }
}

fn window(from: Edge) -> Window {
    let to = Edge::new("9000:9010:9000,9005".parse().unwrap(), 60, None);
    Window { from, to }
}

fn at(snapshot: &str, xid_bound: Option<Xid>) -> Edge {
    Edge::new(snapshot.parse().unwrap(), 50, xid_bound)
}

#[test]
fn what_stands_in_no_list_is_looked_for_up_to_the_bound() {
    for (bound, below) in [(Some(14), 14), (None, 9010)] {
        let window = window(at("10:12:10", bound));
        assert_eq!(window.late_listed().collect::<Vec<_>>(), [10]);
        assert_eq!(window.late_unlisted(), Some(XidRange { low: 12, below }));
    }
    assert_eq!(window(at("12:12:", Some(12))).late_unlisted(), None);
}

#[test]
fn an_edge_that_lists_all_leaves_nothing_to_look_for() {
    let from = at("10:15:10,12,13,14", None);
    assert_eq!(from.xid_bound, Some(15));
    let window = window(from);
    assert_eq!(window.late_listed().collect::<Vec<_>>(), [10, 12, 13, 14]);
    assert_eq!(window.late_unlisted(), None);
}
