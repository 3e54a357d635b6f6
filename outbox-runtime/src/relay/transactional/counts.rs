//! What metrics learn of records that were settled exactly once.

use super::page_progress::PageProgress;
use super::run::TransactionalRun;
use crate::record::RecordPage;
use crate::relay::dead_letters::{BEHIND_DEAD, TOPIC_UNAVAILABLE};
use crate::relay::load::weight;
use crate::store::{RowId, Store};

impl<S: Store> TransactionalRun<'_, S> {
    /// A transaction was committed with the page's records before `end` that are not in the dead letters.
    pub(super) fn count_delivered(&mut self, head: &PageProgress, end: usize) {
        let mut sent = 0;
        for record in (head.next..end).filter_map(|index| head.page.get(index)) {
            if !head.dead_lettered.contains(&(record.seq, record.id)) {
                let sample = self.topic_metrics.sample(&record, weight(&record));
                self.topic_metrics.delivered(sample);
                sent += 1;
            }
        }
        self.metrics.transaction(sent);
    }

    /// A transaction was committed with these records of the dead letters.
    pub(super) fn count_redelivered(&mut self, records: &RecordPage, sent: &[RowId]) {
        // Both are in the order of sending.
        let mut rows = sent.iter().peekable();
        for record in records.iter() {
            if rows.next_if_eq(&&(record.seq, record.id)).is_some() {
                let sample = self.topic_metrics.sample(&record, weight(&record));
                self.topic_metrics.delivered(sample);
                self.topic_metrics.redelivered(sample.topic);
            }
        }
        self.metrics.transaction(sent.len());
    }

    pub(super) fn count_dead_lettered(&mut self, head: &PageProgress, row: RowId, reason: &str) {
        if let Some(record) = find(&head.page, row) {
            self.topic_metrics.dead_lettered(record.topic, reason);
        }
    }

    /// A parked record is dead.
    pub(super) fn count_failed_again(&mut self, records: &RecordPage, row: RowId, reason: &str) {
        if let Some(record) = find(records, row) {
            self.topic_metrics.dead_lettered(record.topic, reason);
        }
    }

    /// Rows are about to be parked: of a suspended topic, or behind dead ones of their keys.
    pub(super) fn count_parked(&mut self, head: &PageProgress, rows: &[RowId], suspended: bool) {
        let reason = match suspended {
            true => TOPIC_UNAVAILABLE,
            false => BEHIND_DEAD,
        };
        let mut rows = rows.iter().peekable();
        for record in (head.next..head.page.len()).filter_map(|index| head.page.get(index)) {
            if rows.next_if_eq(&&(record.seq, record.id)).is_some() {
                self.topic_metrics.parked(record.topic, reason, 1);
            }
        }
    }

    /// Shows what is in flight.
    pub(super) fn show_in_flight(&self, records: usize) {
        self.progress.set_in_flight(records);
        self.metrics.in_flight(records, 0);
    }
}

fn find(page: &RecordPage, row: RowId) -> Option<crate::record::OutboxRecord<'_>> {
    page.iter().find(|record| (record.seq, record.id) == row)
}
