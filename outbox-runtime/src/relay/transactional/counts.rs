//! What metrics learn of records that were settled exactly once.

use super::page_progress::PageProgress;
use super::run::TransactionalRun;
use crate::publisher::Settlement;
use crate::record::RecordPage;
use crate::store::RowId;

impl TransactionalRun<'_> {
    /// A transaction was committed with the page's records before `end` that are not in the dead letters.
    pub(super) fn count_delivered(&mut self, head: &PageProgress, end: usize) {
        let mut sent = 0;
        for record in (head.next..end).filter_map(|index| head.page.get(index)) {
            if !head.dead_lettered.contains(&(record.seq, record.id)) {
                let sample = self.telemetry.sample(&record);
                self.telemetry.acknowledged(sample);
                sent += 1;
            }
        }
        self.telemetry.transaction(sent);
    }

    /// A transaction was committed with these records of the dead letters.
    pub(super) fn count_redelivered(&mut self, records: &RecordPage, sent: &[RowId]) {
        // Both are in the order of sending.
        let mut rows = sent.iter().peekable();
        for record in records.iter() {
            if rows.next_if_eq(&&(record.seq, record.id)).is_some() {
                let sample = self.telemetry.sample(&record);
                self.telemetry.redelivery_acknowledged(sample);
            }
        }
        self.telemetry.transaction(sent.len());
    }

    /// A transaction was refused with these records of the dead letters.
    pub(super) fn count_refused(&self, refused: &[Settlement]) {
        for Settlement { ticket, result } in refused {
            if let Err(error) = result {
                self.telemetry.publish_error(error.kind());
                self.telemetry.redelivery_failed(*ticket, error.kind());
            }
        }
    }

    /// A record of this page is dead.
    pub(super) fn count_dead_lettered(&mut self, page: &RecordPage, row: RowId, reason: &str) {
        let record = page.iter().find(|record| (record.seq, record.id) == row);
        self.telemetry
            .dead_lettered(record.map(|record| record.topic), reason);
    }

    /// Rows are about to be parked.
    pub(super) fn count_parked(&mut self, head: &PageProgress, rows: &[RowId], reason: &str) {
        let mut rows = rows.iter().peekable();
        for record in (head.next..head.page.len()).filter_map(|index| head.page.get(index)) {
            if rows.next_if_eq(&&(record.seq, record.id)).is_some() {
                self.telemetry.parked_of(record.topic, reason, 1);
            }
        }
    }
}
