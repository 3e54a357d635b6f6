//! A page on its way into transactions: how much of it goes into the next one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::record::RecordPage;
use crate::store::RowId;

/// A page, and what is known of its records.
pub(super) struct PageProgress {
    pub(in crate::relay) page: RecordPage,
    /// The first record that is not settled.
    pub(in crate::relay) next: usize,
    /// Rows that stand in the dead letters already.
    pub(in crate::relay) dead_lettered: HashSet<RowId>,
    /// Whether it was asked which of them do.
    pub(in crate::relay) asked: bool,
    /// Records that the broker refused, together with others that may be innocent: each is sent alone.
    suspects: BTreeSet<usize>,
    /// Records that it refused alone.
    pub(super) condemned: BTreeMap<usize, (&'static str, String)>,
}

impl PageProgress {
    pub(in crate::relay) fn new(page: RecordPage) -> Self {
        Self {
            page,
            next: 0,
            dead_lettered: HashSet::new(),
            asked: false,
            suspects: BTreeSet::new(),
            condemned: BTreeMap::new(),
        }
    }

    /// Where the next transaction ends at the latest: before the first suspect, or behind it if it is the next.
    pub(in crate::relay) fn end(&self) -> usize {
        match self.suspects.range(self.next..).next() {
            Some(&suspect) if suspect == self.next => suspect + 1,
            Some(&suspect) => suspect,
            None => self.page.len(),
        }
    }

    /// The broker refused these records of a transaction that began at `next` and sent `sent` of them.
    pub(in crate::relay) fn refused(&mut self, records: Vec<(usize, &'static str, String)>, sent: usize) {
        for (index, reason, error) in records {
            match sent {
                1 => drop(self.condemned.insert(index, (reason, error))),
                _ => drop(self.suspects.insert(index)),
            }
        }
    }

    /// Everything before `index` is settled.
    pub(in crate::relay) fn settled(&mut self, index: usize) {
        self.next = index;
        self.suspects = self.suspects.split_off(&index);
    }

    /// Nothing of it was sent or asked about.
    pub(super) fn is_untouched(&self) -> bool {
        self.next == 0
            && !self.asked
            && self.dead_lettered.is_empty()
            && self.suspects.is_empty()
            && self.condemned.is_empty()
    }

    pub(super) fn is_done(&self) -> bool {
        self.next >= self.page.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordFields;

    fn page(rows: i64) -> RecordPage {
        let mut page = RecordPage::new(0, 0);
        for seq in 0..rows {
            page.push(RecordFields {
                seq,
                id: uuid::Uuid::from_u128(seq.unsigned_abs().into()),
                topic: "t",
                key: "k",
                event_type: "E",
                content_type: "application/json",
                source: None,
                headers: "{}",
                payload: None,
                occurred_at_ms: 0,
            });
        }
        page
    }

    #[test]
    fn who_was_refused_among_others_is_sent_alone() {
        let mut pending = PageProgress::new(page(10));
        assert_eq!(pending.end(), 10);
        let refused = |index| (index, "too_large", String::new());
        pending.refused(vec![refused(3), refused(4)], 10);
        assert_eq!(pending.end(), 3, "those before it go first");
        pending.settled(3);
        assert_eq!(pending.end(), 4, "then it alone");
        pending.settled(4);
        assert_eq!(pending.end(), 5);
        pending.refused(vec![refused(4)], 1);
        assert!(
            pending.condemned.contains_key(&4),
            "alone, it has nobody else to blame"
        );
        pending.settled(5);
        assert_eq!(pending.end(), 10);
        assert!(!pending.is_done());
        pending.settled(10);
        assert!(pending.is_done());
    }
}
