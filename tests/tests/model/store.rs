//! Transactions, their snapshots, and the cursor that lies between two of them.

use crate::system::Protections;

/// A transaction id.
pub(crate) type Xid = u8;

/// Which rows there are, and what becomes of them, is the same in all states of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowPlan {
    /// The transaction that inserts it, after its earlier rows.
    pub(crate) transaction: usize,
    /// Its key, which is also its partition.
    pub(crate) key: usize,
    /// No broker takes it.
    pub(crate) poison: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transaction {
    NotBegun,
    Open(Xid),
    Committed(Xid),
    Aborted,
}

/// A row that was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) seq: u8,
    /// The rows, as bits, that were committed when it was inserted: they precede it.
    pub(crate) predecessors: u8,
    /// It took its seq after the sequence went back.
    pub(crate) after_going_back: bool,
}

/// A snapshot: what had committed, and a bound on the seq of what is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    /// No transaction from here on is visible.
    pub(crate) xmax: Xid,
    /// Transactions below `xmax` that were running, as bits.
    pub(crate) running: u16,
    pub(crate) high: u8,
}

/// What the cursor row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cursor {
    pub(crate) from: Edge,
    /// The upper edge of a window that is not finished, and the seq up to which it is settled.
    pub(crate) open: Option<(Edge, u8)>,
}

/// No relay has the cursor.
pub(crate) const NOBODY: u8 = 0;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) rows: Vec<Option<Row>>,
    pub(crate) next_xid: Xid,
    next_seq: u8,
    went_back: bool,
    last_finished: Xid,
    pub(crate) cursor: Cursor,
    /// Whose cursor it is.
    pub(crate) cursor_epoch: u8,
    /// The same in all claims between which nobody else had the cursor; [`NOBODY`] once an operator has moved it.
    pub(crate) lineage: u8,
    last_lineage: u8,
    pub(crate) lease: Lease,
    /// Rows in the dead letters, as bits.
    pub(crate) dead: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) epoch: u8,
    /// Somebody may take it: it was given back, or its holder was silent for its duration.
    pub(crate) free: bool,
}

impl Edge {
    pub(crate) const BEFORE_EVERYTHING: Self = Self {
        xmax: 1,
        running: 0,
        high: 0,
    };

    pub(crate) fn sees(self, xid: Xid) -> bool {
        xid < self.xmax && !self.lists(xid)
    }

    fn lists(self, xid: Xid) -> bool {
        self.running & (1 << xid) != 0
    }
}

impl Store {
    /// `next_seq` is where the sequence begins, which leaves room below for one that goes back.
    pub(crate) fn new(transactions: usize, rows: usize, next_seq: u8) -> Self {
        Self {
            transactions: vec![Transaction::NotBegun; transactions],
            rows: vec![None; rows],
            next_xid: 1,
            next_seq,
            went_back: false,
            last_finished: 0,
            cursor: Cursor {
                from: Edge::BEFORE_EVERYTHING,
                open: None,
            },
            cursor_epoch: 0,
            lineage: NOBODY,
            last_lineage: NOBODY,
            lease: Lease { epoch: 0, free: true },
            dead: 0,
        }
    }

    /// An operator moves the cursor back to the beginning.
    pub(crate) fn rewind(&mut self) {
        self.cursor = Cursor {
            from: Edge::BEFORE_EVERYTHING,
            open: None,
        };
        self.lineage = NOBODY;
    }

    /// A relay claims the cursor. Returns whether it was somebody else's, or moved, since that relay's last claim.
    pub(crate) fn claim(&mut self, epoch: u8, last: u8) -> bool {
        self.cursor_epoch = epoch;
        if last != NOBODY && last == self.lineage {
            return false;
        }
        self.last_lineage += 1;
        self.lineage = self.last_lineage;
        last != NOBODY
    }

    pub(crate) fn begin(&mut self, transaction: usize) {
        self.transactions[transaction] = Transaction::Open(self.next_xid);
        self.next_xid += 1;
    }

    pub(crate) fn insert(&mut self, row: usize, plan: &[RowPlan]) {
        let committed = |other: &usize| self.is_committed(*other, plan);
        let predecessors = (0..plan.len())
            .filter(committed)
            .fold(0, |bits, row| bits | 1 << row);
        self.rows[row] = Some(Row {
            seq: self.next_seq,
            predecessors,
            after_going_back: self.went_back,
        });
        self.next_seq += 1;
    }

    /// The sequence begins anew, below all numbers that it has given out.
    pub(crate) fn go_back(&mut self) {
        self.next_seq = 1;
        self.went_back = true;
    }

    pub(crate) fn finish(&mut self, transaction: usize, commits: bool) {
        let Transaction::Open(xid) = self.transactions[transaction] else {
            return;
        };
        self.last_finished = self.last_finished.max(xid);
        self.transactions[transaction] = match commits {
            true => Transaction::Committed(xid),
            false => Transaction::Aborted,
        };
    }

    pub(crate) fn is_committed(&self, row: usize, plan: &[RowPlan]) -> bool {
        self.rows[row].is_some()
            && matches!(
                self.transactions[plan[row].transaction],
                Transaction::Committed(_)
            )
    }

    /// The present snapshot. `next` is the next transaction id, as far as the relay knows.
    pub(crate) fn look(&self, next: Xid, plan: &[RowPlan], protections: Protections) -> Edge {
        let xmax = self.last_finished + 1;
        let open = self
            .transactions
            .iter()
            .filter_map(|transaction| match transaction {
                Transaction::Open(xid) if *xid < xmax => Some(*xid),
                _ => None,
            });
        let running = open.fold(0, |bits, xid| bits | 1 << xid);
        let visible = (0..self.rows.len()).filter(|row| self.is_committed(*row, plan));
        let highest = visible.map(|row| self.seq(row)).max().unwrap_or(0);
        let (running, xmax) = match protections.lists_all {
            true => {
                let above = (xmax..=next.max(xmax)).fold(0, |bits, xid| bits | 1 << xid);
                (running | above, next.max(xmax) + 1)
            }
            false => (running, xmax),
        };
        Edge {
            xmax,
            running,
            high: highest.max(self.next_seq - 1),
        }
    }

    /// The rows of the window between two snapshots, in the order in which the queries give them.
    pub(crate) fn window(
        &self,
        from: Edge,
        to: Edge,
        plan: &[RowPlan],
        protections: Protections,
    ) -> Vec<usize> {
        // Whoever is not listed as running wrote below the lower edge only if the sequence went back; then all rows there
        // are looked through.
        let unlisted = |row: usize| match (self.rows[row], self.transactions[plan[row].transaction]) {
            (Some(stored), Transaction::Committed(xid)) => stored.seq <= from.high && xid >= from.xmax,
            _ => false,
        };
        let below = protections.below && (0..plan.len()).any(unlisted);
        let belongs = |row: usize| {
            let (Some(stored), Transaction::Committed(xid)) =
                (self.rows[row], self.transactions[plan[row].transaction])
            else {
                return false;
            };
            let listed = protections.late_listed && from.lists(xid);
            let late = stored.seq <= from.high && (listed || below && !from.sees(xid));
            let new = stored.seq > from.high && stored.seq <= to.high;
            to.sees(xid) && (late || new)
        };
        let mut rows: Vec<usize> = (0..plan.len()).filter(|row| belongs(*row)).collect();
        rows.sort_by_key(|row| self.seq(*row));
        rows
    }

    /// What somebody who starts at the cursor would come to read, now or once more is committed.
    pub(crate) fn ahead(&self, plan: &[RowPlan], protections: Protections) -> u8 {
        let now = self.look(self.next_xid, plan, protections);
        let bits = |rows: Vec<usize>| rows.into_iter().fold(0, |bits, row| bits | 1 << row);
        match self.cursor.open {
            None => bits(self.window(self.cursor.from, now, plan, protections)),
            Some((to, settled)) => {
                let mut open = self.window(self.cursor.from, to, plan, protections);
                open.retain(|row| self.seq(*row) > settled);
                bits(open) | bits(self.window(to, now, plan, protections))
            }
        }
    }

    pub(crate) fn seq(&self, row: usize) -> u8 {
        self.rows[row].map_or(0, |row| row.seq)
    }
}
