//! What goes out of the dead letters: records of topics that were suspended, those that somebody wants sent again,
//! and those that waited behind them.
//!
//! Each transaction of them names the rows that it sends. They are deleted after it and before the next one, so that
//! whoever finds the names in the broker's cursor knows what is left to delete.

use std::collections::HashSet;

use tokio::time::Instant;

use super::redelivery::{Question, ReadFrom, Step};
use super::run::{Ready, TransactionalRun, within};
use crate::publisher::{PublishErrorKind, Settlement};
use crate::record::RecordPage;
use crate::relay::dead_letters::TOPIC_UNAVAILABLE;
use crate::relay::load::weight;
use crate::relay::reader_task::Write;
use crate::relay::run_end::RunEnd;
use crate::store::{DeadLetter, PageLimit, RowId};

/// Rows of one transaction. The cursor's record names them all.
const ROWS: usize = 1_000;

/// Bytes of one transaction.
const BYTES: usize = 8 << 20;

impl TransactionalRun<'_> {
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

    /// Sends some rows of a redelivery. That none is left is found out and acted on in one turn: a page between the two
    /// might park more.
    pub(super) async fn run_redelivery(&mut self, index: usize) -> Result<(), RunEnd> {
        self.redeliveries.had_its_turn();
        let room = match self
            .throttling
            .room(self.redeliveries.topic(index), Instant::now())
        {
            Ok(room) => room,
            Err(until) => {
                // Somebody may take the throttle back meanwhile.
                let look = self.interventions.next_look();
                self.redeliveries.wait_for_throttle(index, until.min(look));
                return Ok(());
            }
        };
        loop {
            let from = match self.redeliveries.step(index) {
                Step::Wait => return Ok(()),
                Step::Finish => {
                    self.redeliveries.finish(index);
                    return Ok(());
                }
                Step::Read(from) => from,
                Step::Prepare(topic) => match self.prepare(&topic).await? {
                    Ready::Yes => ReadFrom::First,
                    Ready::OpenAgain => return Err(RunEnd::Again),
                    Ready::No(_) => {
                        self.redeliveries.failed(index);
                        return Ok(());
                    }
                },
            };
            let records = self.read_redelivery(index, from, room).await?;
            if !records.is_empty() {
                return self.send_redelivery(index, &records).await;
            }
        }
    }

    /// The next rows of a redelivery.
    async fn read_redelivery(
        &mut self,
        index: usize,
        from: ReadFrom,
        room: usize,
    ) -> Result<RecordPage, RunEnd> {
        let limit = |single| PageLimit {
            rows: if single { 1 } else { ROWS.min(room) },
            bytes: BYTES,
        };
        match self.redeliveries.read(index, from) {
            Question::Waiting { which, single } => {
                let asked = self.feed.dead_letters(which, limit(single));
                let page = within(self.leadership, self.stop, asked).await?;
                let page = page.map_err(RunEnd::Store)?;
                self.redeliveries.page(index, &page);
                Ok(page.records)
            }
            Question::Released { topic, from, single } => {
                let asked = self.feed.released(topic, from, limit(single));
                let page = within(self.leadership, self.stop, asked).await?;
                let page = page.map_err(RunEnd::Store)?;
                self.redeliveries.released(index, &page);
                Ok(page.records)
            }
        }
    }

    /// Sends a page in one transaction.
    async fn send_redelivery(&mut self, index: usize, records: &RecordPage) -> Result<(), RunEnd> {
        self.transactions.begin().map_err(RunEnd::Broker)?;
        let mut batch = self.fill_redelivery(index, records).await?;
        let mut outcome = match batch.refused_by_topic {
            true => Outcome::Later,
            false => Outcome::WentThrough,
        };
        if batch.sent.is_empty() {
            within(self.leadership, self.stop, self.transactions.abort())
                .await?
                .map_err(RunEnd::Broker)?;
        } else {
            match self.commit(self.position.position, batch.sent.clone()).await? {
                Ok(()) => {
                    self.count_redelivered(records, &batch.sent);
                    self.delivered(batch.sent.len());
                    self.write(Write::TakeOut(std::mem::take(&mut batch.sent)))
                        .await?;
                }
                Err(refused) => {
                    self.count_refused(&refused);
                    match self.blame(index, &batch.sent, refused)? {
                        Blame::Record(row, reason, error) => batch.failed.push((row, reason, error)),
                        Blame::Unknown(refused) => outcome = refused,
                    }
                }
            }
        }
        self.telemetry.redeliveries_settled(None);
        for (row, reason, error) in batch.failed {
            self.fail_again(row, reason, error).await?;
            if !self.redeliveries.are_replays(index) {
                self.count_dead_lettered(records, row, reason);
            }
        }
        match outcome {
            Outcome::WentThrough => self.redeliveries.went_through(index, records.len()),
            Outcome::Later => self.redeliveries.failed(index),
            Outcome::OneByOne => self.redeliveries.distrust(index),
        }
        Ok(())
    }

    /// Hands a page's records over, up to one whose topic refuses it.
    async fn fill_redelivery(&mut self, index: usize, records: &RecordPage) -> Result<Batch, RunEnd> {
        let is_replay = self.redeliveries.are_replays(index);
        let keeps_order = self.redeliveries.keeps_order_of_keys(index);
        let mut batch = Batch::default();
        // What comes behind a record that fails stays behind it.
        let mut stuck = HashSet::new();
        let mut next = 0;
        while let Some(record) = records.get(next) {
            if keeps_order && stuck.contains(record.key) {
                next += 1;
                continue;
            }
            let row = (record.seq, record.id);
            let ticket = batch.sent.len() as u64;
            let Err(mut error) = self.transactions.send(ticket, &record, &self.wire) else {
                self.telemetry.redelivery_sent(ticket, &record);
                self.throttling.sent(record.topic, weight(&record));
                batch.sent.push(row);
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
                    batch.refused_by_topic = true;
                    break;
                }
                PublishErrorKind::Unprepared
                | PublishErrorKind::Unavailable
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Full
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration => return Err(RunEnd::Refused(error)),
            };
            stuck.insert(record.key);
            batch.failed.push((row, reason, error.to_string()));
            next += 1;
        }
        Ok(batch)
    }

    /// Rows were refused: one that was alone is to blame, else each is tried alone.
    fn blame(&self, index: usize, sent: &[RowId], refused: Vec<Settlement>) -> Result<Blame, RunEnd> {
        let is_replay = self.redeliveries.are_replays(index);
        let error = refused.into_iter().find_map(|settlement| {
            let at = usize::try_from(settlement.ticket).unwrap_or(usize::MAX);
            let error = settlement.result.err()?;
            Some((sent.get(at).copied(), *error))
        });
        let Some((row, error)) = error else {
            return Ok(Blame::Unknown(Outcome::OneByOne));
        };
        let reason = match error.kind() {
            PublishErrorKind::Record(reason) => reason,
            PublishErrorKind::Topic if is_replay => TOPIC_UNAVAILABLE,
            PublishErrorKind::Topic | PublishErrorKind::Unavailable if !is_replay => {
                return match self.may_be_stuck(&error) {
                    true => Err(RunEnd::Again),
                    false => Ok(Blame::Unknown(Outcome::Later)),
                };
            }
            PublishErrorKind::Topic
            | PublishErrorKind::Unprepared
            | PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Full
            | PublishErrorKind::Fatal
            | PublishErrorKind::Configuration => return Err(RunEnd::Broker(error)),
        };
        Ok(match row {
            Some(row) if sent.len() == 1 => Blame::Record(row, reason, error.to_string()),
            Some(_) | None => Blame::Unknown(Outcome::OneByOne),
        })
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
        self.write(Write::FailAgain(dead_letter)).await
    }
}

/// What a transaction of a redelivery holds.
#[derive(Default)]
struct Batch {
    sent: Vec<RowId>,
    /// Rows that no waiting cures, with the reason and the error.
    failed: Vec<(RowId, &'static str, String)>,
    /// The topic took no record from here on.
    refused_by_topic: bool,
}

/// What comes of a page that was sent.
enum Outcome {
    WentThrough,
    /// It is tried again later.
    Later,
    /// Each of its records is tried alone.
    OneByOne,
}

/// Who is to blame for a transaction that was refused.
enum Blame {
    /// This row alone, with the reason and the error.
    Record(RowId, &'static str, String),
    Unknown(Outcome),
}
