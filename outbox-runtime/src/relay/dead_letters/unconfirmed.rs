//! Rows that were on their way into the dead letters when a reader ended: nobody knows whether they came there.
//!
//! The next reader reads them again, and has them written again, which changes nothing where they are there already.
//! Until then nothing is sent out of the dead letters: a row that went out from there, and is read only afterwards,
//! would come in again, and go out twice.

use std::collections::HashSet;

use crate::store::RowId;

#[derive(Debug, Default)]
pub(in crate::relay) struct Unconfirmed {
    /// Not read again yet.
    ahead: HashSet<RowId>,
    /// Read, and on their way again.
    again: HashSet<RowId>,
}

impl Unconfirmed {
    /// A new reader starts, while these rows of the last one were on their way.
    pub(in crate::relay) fn start_over(&mut self, pending: impl IntoIterator<Item = RowId>) {
        self.ahead.extend(self.again.drain());
        self.ahead.extend(pending);
    }

    /// A row was read; `pending` if it is on its way into the dead letters again.
    pub(in crate::relay) fn met(&mut self, row: RowId, pending: bool) {
        if !self.ahead.is_empty() && self.ahead.remove(&row) && pending {
            self.again.insert(row);
        }
    }

    /// A row is in the dead letters.
    pub(in crate::relay) fn confirmed(&mut self, row: &RowId) {
        self.again.remove(row);
    }

    /// The reader has come to the log's end: what it did not meet is behind the cursor.
    pub(in crate::relay) fn met_all(&mut self) {
        self.ahead.clear();
    }

    /// Whether it is known of each row that it is in the dead letters, or is not.
    pub(in crate::relay) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.again.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(seq: i64) -> RowId {
        (seq, Uuid::from_u128(seq as u128))
    }

    #[test]
    fn each_row_is_waited_for_until_it_is_read_and_written_again() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.start_over([row(1), row(2), row(3)]);
        unconfirmed.met(row(1), true);
        // Its topic takes records after all.
        unconfirmed.met(row(2), false);
        unconfirmed.met(row(4), true);
        unconfirmed.confirmed(&row(1));
        assert!(!unconfirmed.is_empty(), "the third was not met");
        unconfirmed.met(row(3), true);
        unconfirmed.met_all();
        assert!(!unconfirmed.is_empty(), "the third is still on its way");
        unconfirmed.start_over([]);
        unconfirmed.met_all();
        assert!(unconfirmed.is_empty());
    }
}
