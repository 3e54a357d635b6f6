//! The cursor's algorithm, without a database.
//!
//! A *window* lies between two *edges*. An edge is a snapshot and a bound on seq: no row that the snapshot sees
//! has a greater seq. A window's rows are those that its upper edge sees and its lower edge does not: first the
//! *late* ones, whose seq is at or below the lower bound because their transaction was running then, and after
//! them the *new* ones. Windows follow each other edge to edge, so each row is in exactly one of them.

use super::snapshot::{Snapshot, Xid};

/// A point in the log's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) snapshot: Snapshot,
    /// At or above the seq of each row that the snapshot sees.
    pub(crate) high: i64,
    /// Greater than the transaction of each row with a seq up to `high`, if it is known.
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
    /// `xid_bound` is what is known of it from elsewhere. A snapshot that lists all transactions says it itself.
    pub(crate) fn new(snapshot: Snapshot, high: i64, xid_bound: Option<Xid>) -> Self {
        let xid_bound = match snapshot.lists_all() {
            true => Some(snapshot.xmax()),
            false => xid_bound,
        };
        Self {
            snapshot,
            high,
            xid_bound,
        }
    }

    /// Whether a row may be deleted while the cursor is here and no window is open. The definition; `prune` has to agree
    /// with it.
    #[cfg(test)]
    pub(crate) fn settles(&self, xid: Xid, seq: i64) -> bool {
        seq <= self.high && self.snapshot.sees(xid)
    }

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

    /// Where transactions may lie that were running at the lower edge but stand in no list, and have finished
    /// since: at or above its `xmax`, and below what its bound allows. Their rows have to be looked for. There
    /// are none if the lower edge lists all, as each that a reader takes does.
    pub(crate) fn late_unlisted(&self) -> Option<XidRange> {
        let range = XidRange {
            low: self.from.snapshot.xmax(),
            below: self
                .to
                .snapshot
                .xmax()
                .min(self.from.xid_bound.unwrap_or(Xid::MAX)),
        };
        (self.from.high > 0 && range.low < range.below).then_some(range)
    }
}

#[cfg(test)]
mod tests;
