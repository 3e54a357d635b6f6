//! Commits a transaction, and finds out what is to blame if the broker refuses it.

use tokio::time::Instant;

use super::batch::Batch;
use super::page_progress::PageProgress;
use super::run::{TransactionalRun, within};
use crate::ErrorChain;
use crate::failpoint::{self, Failpoint};
use crate::publisher::{BrokerCursor, PublishErrorKind, Settlement, Uncommitted};
use crate::relay::run_end::RunEnd;
use crate::store::RowId;

impl TransactionalRun<'_> {
    /// Commits the transaction and takes note of it, or of why it was not.
    pub(super) async fn settle(&mut self, head: &mut PageProgress, batch: Batch) -> Result<(), RunEnd> {
        let last = head.page.get(batch.end() - 1).map(|record| record.seq);
        let position = last.unwrap_or(self.position.position);
        let begun = match batch.begun {
            Some(begun) => begun,
            None => self.begin()?,
        };
        self.telemetry.in_flight(batch.sent(), 0);
        failpoint::reach(Failpoint::TransactionSent);
        match self.commit(position, Vec::new()).await? {
            Ok(()) => {
                self.size.committed(batch.bytes(), begun.elapsed());
                self.position.position = position;
                self.count_delivered(head, batch.end());
                head.settled(batch.end());
                self.dead_lettered_ahead = false;
                self.moved();
                self.delivered(batch.sent());
                Ok(())
            }
            Err(refused) => self.after_refusal(head, batch.sent(), refused).await,
        }
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> Result<Instant, RunEnd> {
        self.transactions.begin().map_err(RunEnd::Broker)?;
        Ok(Instant::now())
    }

    /// Commits the open transaction with the cursor at `position`. Records that were refused are returned, after the
    /// transaction was taken back.
    pub(super) async fn commit(
        &mut self,
        position: i64,
        taken_out: Vec<RowId>,
    ) -> Result<Result<(), Vec<Settlement>>, RunEnd> {
        let cursor = BrokerCursor {
            generation: self.position.generation,
            position,
            taken_out,
        };
        let committed = within(self.leadership, self.stop, self.transactions.commit(&cursor)).await?;
        match committed {
            Ok(()) => {
                failpoint::reach(Failpoint::TransactionCommitted);
                Ok(Ok(()))
            }
            Err(Uncommitted::Broken(error)) => Err(RunEnd::Broker(error)),
            Err(Uncommitted::Records(refused)) => {
                within(self.leadership, self.stop, self.transactions.abort())
                    .await?
                    .map_err(RunEnd::Broker)?;
                Ok(Err(refused))
            }
        }
    }

    pub(in crate::relay) fn delivered(&mut self, records: usize) {
        self.telemetry.delivered(records as u64);
        self.telemetry.settled(None);
        self.telemetry.in_flight(0, 0);
        self.telemetry.well();
    }

    /// The broker refused records: because of them, of their topic, or of neither.
    async fn after_refusal(
        &mut self,
        head: &mut PageProgress,
        sent: usize,
        refused: Vec<Settlement>,
    ) -> Result<(), RunEnd> {
        self.telemetry.in_flight(0, 0);
        self.size.aborted();
        let (mut incurable, mut others) = (Vec::new(), Vec::new());
        for Settlement { ticket, result } in refused {
            let index = usize::try_from(ticket).unwrap_or(usize::MAX);
            let Err(error) = result else { continue };
            self.telemetry.publish_error(error.kind());
            self.telemetry.record_failed(ticket, error.kind());
            match error.kind() {
                PublishErrorKind::Record(reason) if head.page.get(index).is_some() => {
                    incurable.push((index, reason, error.to_string()));
                }
                PublishErrorKind::Record(_)
                | PublishErrorKind::Topic
                | PublishErrorKind::Unavailable
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Full
                | PublishErrorKind::Unprepared
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration => others.push((index, *error)),
            }
        }
        self.telemetry.settled(None);
        if !incurable.is_empty() {
            head.refused(incurable, sent);
            return Ok(());
        }
        if self.blame_topics(head, &others) {
            return Ok(());
        }
        let Some((_, error)) = others.into_iter().next() else {
            return Ok(());
        };
        tracing::warn!(error = %ErrorChain::new(&error), "a transaction was aborted");
        Err(RunEnd::Broker(error))
    }
}
