//! What goes out of the dead letters: records of topics that were suspended, those that somebody wants sent again,
//! and those that waited behind them.
//!
//! Each transaction of them names the rows that it sends. They are deleted after it and before the next one, so that
//! whoever finds the names in the broker's cursor knows what is left to delete.

use std::collections::HashSet;

use tokio::time::Instant;

use super::run::{Ready, TransactionalRun, within};
use crate::publisher::{PublishErrorKind, Settlement};
use crate::record::RecordPage;
use crate::relay::dead_letters::TOPIC_UNAVAILABLE;
use crate::relay::reader_task::Request;
use crate::relay::run_end::RunEnd;
use crate::store::{DeadLetter, PageLimit, RowId, Store, Waiting};

/// Rows of one transaction. The cursor's record names them all.
const ROWS: usize = 1_000;

/// Bytes of one transaction.
const BYTES: usize = 8 << 20;

impl<S: Store> TransactionalRun<'_, S> {
    /// Whether anything may be sent out of the dead letters: not as long as a row may stand there that the cursor is
    /// not past, for it would be read again.
    fn redelivery_may_run(&self) -> bool {
        self.resumed.is_none() && !self.dead_lettered_ahead
    }

    /// The redelivery whose turn it is.
    pub(super) fn due_redelivery(&self) -> Option<usize> {
        match self.redelivery_may_run() {
            true => self.redeliveries.due(!self.pages.is_empty()),
            false => None,
        }
    }

    /// When a redelivery is due that is not now.
    pub(in crate::relay) fn next_redelivery(&self) -> Instant {
        self.redeliveries.next_due()
    }

    /// Sends some rows of a redelivery.
    pub(super) async fn run_redelivery(&mut self, index: usize) -> Result<(), RunEnd> {
        self.redeliveries.had_its_turn();
        let suspended = self.redeliveries.redelivery(index).topic.as_ref();
        if let Some(topic) = suspended.filter(|topic| topic.is_suspended()) {
            let topic = topic.name.clone();
            match self.prepare(&topic).await? {
                Ready::Yes => {}
                Ready::OpenAgain => return Err(RunEnd::Again),
                Ready::No(_) => {
                    self.redeliveries.redelivery_mut(index).postpone();
                    return Ok(());
                }
            }
        }
        let records = self.read_redelivery(index).await?;
        match records.is_empty() {
            true => {
                self.redeliveries.nothing_waits(index);
                Ok(())
            }
            false => self.send_redelivery(index, &records).await,
        }
    }

    /// The next rows of a redelivery.
    async fn read_redelivery(&mut self, index: usize) -> Result<RecordPage, RunEnd> {
        let redelivery = self.redeliveries.redelivery(index);
        let rows = if redelivery.trusted { ROWS } else { 1 };
        let limit = PageLimit { rows, bytes: BYTES };
        let which = match &redelivery.topic {
            Some(topic) if topic.blocks => {
                let released = self.feed.released(topic.name.clone(), topic.next.clone(), limit);
                let page = within(self.leadership, self.stop, released)
                    .await?
                    .map_err(RunEnd::Store)?;
                // Where something goes, more of the same keys may follow.
                if let Some(topic) = &mut self.redeliveries.redelivery_mut(index).topic
                    && page.records.is_empty()
                {
                    topic.next = page.next;
                }
                return Ok(page.records);
            }
            Some(topic) => Waiting::ForTopic {
                topic: topic.name.clone(),
                after: 0,
            },
            None => Waiting::ForReplay {
                except: self.redeliveries.names(),
                after: 0,
            },
        };
        let page = within(self.leadership, self.stop, self.feed.dead_letters(which, limit)).await?;
        Ok(page.map_err(RunEnd::Store)?.records)
    }

    async fn send_redelivery(&mut self, index: usize, records: &RecordPage) -> Result<(), RunEnd> {
        let redelivery = self.redeliveries.redelivery(index).topic.as_ref();
        let is_replay = redelivery.is_none();
        let blocks = redelivery.is_some_and(|topic| topic.blocks);
        self.transactions.begin().map_err(RunEnd::Broker)?;
        let (mut sent, mut failed) = (Vec::new(), Vec::new());
        // What comes behind a record that fails stays behind it.
        let mut stuck = HashSet::new();
        let mut refused_by_topic = false;
        let mut next = 0;
        while let Some(record) = records.get(next) {
            if blocks && stuck.contains(record.key) {
                next += 1;
                continue;
            }
            let row = (record.seq, record.id);
            let Err(mut error) = self.transactions.send(sent.len() as u64, &record, &self.wire) else {
                sent.push(row);
                next += 1;
                continue;
            };
            if error.kind() == PublishErrorKind::Unprepared {
                let topic = record.topic.to_owned();
                match self.prepare(&topic).await? {
                    Ready::Yes => continue,
                    Ready::OpenAgain => return Err(RunEnd::Again),
                    Ready::No(unprepared) => error = unprepared,
                }
            }
            let reason = match error.kind() {
                PublishErrorKind::Record(reason) => reason,
                PublishErrorKind::Topic if is_replay => TOPIC_UNAVAILABLE,
                PublishErrorKind::Topic => {
                    refused_by_topic = true;
                    break;
                }
                _ => return Err(RunEnd::Refused(error)),
            };
            stuck.insert(record.key);
            failed.push((row, reason, error.to_string()));
            next += 1;
        }
        if sent.is_empty() {
            within(self.leadership, self.stop, self.transactions.abort())
                .await?
                .map_err(RunEnd::Broker)?;
        } else {
            let committed = self.commit(self.position.position, sent.clone()).await?;
            match committed {
                Ok(()) => {
                    self.count_redelivered(records, &sent);
                    self.took_out(index, sent).await?;
                }
                Err(refused) => self.after_refused_redelivery(index, &sent, refused, &mut failed)?,
            }
        }
        if refused_by_topic {
            self.redeliveries.redelivery_mut(index).postpone();
        }
        for (row, reason, error) in failed {
            self.fail_again(row, reason, error).await?;
            if !is_replay {
                self.count_dead_lettered(records, row, reason);
            }
        }
        Ok(())
    }

    /// Rows were delivered.
    async fn took_out(&mut self, index: usize, rows: Vec<RowId>) -> Result<(), RunEnd> {
        self.delivered(rows.len());
        self.ask(Request::TakeOut(rows)).await?;
        self.redeliveries.redelivery_mut(index).went_through();
        Ok(())
    }

    /// Rows were refused: one that was alone is to blame, else each is tried alone.
    fn after_refused_redelivery(
        &mut self,
        index: usize,
        sent: &[RowId],
        refused: Vec<Settlement>,
        failed: &mut Vec<(RowId, &'static str, String)>,
    ) -> Result<(), RunEnd> {
        let redelivery = self.redeliveries.redelivery_mut(index);
        let is_replay = redelivery.topic.is_none();
        let error = refused.into_iter().find_map(|settlement| {
            let at = usize::try_from(settlement.ticket).unwrap_or(usize::MAX);
            let error = settlement.result.err()?;
            Some((sent.get(at).copied(), *error))
        });
        let Some((row, error)) = error else {
            return Ok(());
        };
        let reason = match error.kind() {
            PublishErrorKind::Record(reason) => Some(reason),
            PublishErrorKind::Topic if is_replay => Some(TOPIC_UNAVAILABLE),
            PublishErrorKind::Topic | PublishErrorKind::Unavailable if !is_replay => None,
            _ => return Err(RunEnd::Broker(error)),
        };
        match (reason, row) {
            (Some(reason), Some(row)) if sent.len() == 1 => failed.push((row, reason, error.to_string())),
            (Some(_), _) => redelivery.trusted = false,
            (None, _) => {
                redelivery.postpone();
                if self.may_be_stuck(&error) {
                    return Err(RunEnd::Again);
                }
            }
        }
        Ok(())
    }

    async fn fail_again(
        &mut self,
        (seq, id): RowId,
        reason: &'static str,
        error: String,
    ) -> Result<(), RunEnd> {
        tracing::error!(seq, %id, reason, error, "a record of the dead letters cannot be delivered; it stays there");
        let dead_letter = DeadLetter {
            seq,
            id,
            reason,
            error,
        };
        self.ask(Request::FailAgain(dead_letter)).await?;
        Ok(())
    }
}
