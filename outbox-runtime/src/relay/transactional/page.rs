//! Sends a page in one transaction, or in as many as its failures need.

use tokio::time::Instant;

use super::batch::{Batch, Stopped};
use super::page_progress::PageProgress;
use super::run::{Ready, TransactionalRun, within};
use crate::failpoint::{self, Failpoint};
use crate::publisher::{PublishError, PublishErrorKind};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::lookup::KeyQuery;
use crate::relay::dead_letters::{BEHIND_DEAD, SKIPPED};
use crate::relay::load::weight;
use crate::relay::reader_task::Write;
use crate::relay::run_end::RunEnd;
use crate::relay::throttle::Allowance;
use crate::store::DeadLetter;

/// Records handed over before the lease is looked at again.
const BURST: usize = 512;

impl TransactionalRun<'_> {
    /// Carries out one transaction with records of the first page.
    pub(super) async fn work_off(&mut self) -> Result<(), RunEnd> {
        let Some(mut head) = self.pages.pop_front() else {
            return Ok(());
        };
        self.gather(&mut head);
        self.redeliveries.page_had_its_turn();
        self.enter(&head).await?;
        if self.resumed == Some(head.page.window()) && !head.asked {
            self.find_in_dead_letters(&mut head).await?;
        }
        let mut batch = self.fill(&head).await?;
        if batch.end() == head.next {
            self.pages.push_front(head);
            return match batch.stopped {
                Some(Stopped::ToOpenAgain) => Err(RunEnd::Again),
                Some(Stopped::ByTopic(topic, error)) => self.wait_for(topic, error).await,
                Some(Stopped::ByThrottle(until)) => {
                    // Somebody may take the throttle back meanwhile.
                    let look = self.interventions.next_look();
                    self.pause_until(until.min(look)).await
                }
                None => Ok(()),
            };
        }
        self.write_dead_letters(&mut head, &mut batch).await?;
        self.settle(&mut head, batch).await?;
        if !head.is_done() {
            self.pages.push_front(head);
        }
        Ok(())
    }

    /// Takes more pages of its window into a page that is untouched, if they are there already: each transaction has a
    /// price of its own, and the broker may let the next one wait for a while.
    fn gather(&mut self, head: &mut PageProgress) {
        while head.is_untouched()
            && self.resumed != Some(head.page.window())
            && self.size.holds(head.page.len() + 1, head.page.size())
        {
            if self.pages.is_empty() && !self.read_more() {
                return;
            }
            let fits = |next: &mut PageProgress| {
                let (records, bytes) = (
                    head.page.len() + next.page.len(),
                    head.page.size() + next.page.size(),
                );
                head.page.window() == next.page.window() && self.size.holds(records, bytes)
            };
            let Some(next) = self.pages.pop_front_if(fits) else {
                return;
            };
            head.page.append(&next.page);
        }
    }

    /// Sees to it that the page's window is written down before any of its records is sent. All windows before it are
    /// settled, since pages are worked off one after the other.
    async fn enter(&mut self, head: &PageProgress) -> Result<(), RunEnd> {
        let window = head.page.window();
        if self.position.window == Some(window) {
            return Ok(());
        }
        let generation = self.position.generation + 1;
        let begun = self.feed.begin_window(window, generation);
        within(self.leadership, self.stop, begun)
            .await?
            .map_err(RunEnd::Store)?;
        failpoint::reach(Failpoint::WindowBegun);
        (
            self.position.generation,
            self.position.window,
            self.position.position,
        ) = (generation, Some(window), 0);
        self.resumed = None;
        Ok(())
    }

    /// Rows that an earlier session dead-lettered are left out.
    async fn find_in_dead_letters(&mut self, head: &mut PageProgress) -> Result<(), RunEnd> {
        let rows = head.page.iter().map(|record| (record.seq, record.id)).collect();
        let found = within(self.leadership, self.stop, self.feed.in_dead_letters(rows)).await?;
        head.dead_lettered.extend(found.map_err(RunEnd::Store)?);
        head.asked = true;
        Ok(())
    }

    /// For each record from the page's next one on whether its key has dead letters. Nothing goes out of them
    /// meanwhile, and what a person throws away of them makes no difference to the order.
    async fn find_blocked(&mut self, head: &PageProgress) -> Result<Vec<bool>, RunEnd> {
        if !self.redeliveries.keys_may_wait() {
            return Ok(Vec::new());
        }
        let records = (head.next..head.end()).filter_map(|index| head.page.get(index));
        let question = KeyQuery::about(records, self.redeliveries.blocking());
        if question.keys.is_empty() {
            return Ok(Vec::new());
        }
        let blocked = self.feed.blocked_keys(question.keys.clone());
        let blocked = within(self.leadership, self.stop, blocked).await?;
        Ok(question.answer(&blocked.map_err(RunEnd::Store)?))
    }

    /// Hands records over until the page, or what can be sent of it now, is at its end.
    async fn fill(&mut self, head: &PageProgress) -> Result<Batch, RunEnd> {
        let mut batch = Batch::begin_at(head.next, self.find_blocked(head).await?);
        while batch.end() < head.end() {
            if batch.end().is_multiple_of(BURST) && self.leadership.is_over() {
                return Err(RunEnd::LeaseLost);
            }
            let Some(record) = head.page.get(batch.end()) else {
                break;
            };
            if self.leave_out(&mut batch, head, &record) {
                continue;
            }
            match self.throttling.allows(record.topic, Instant::now()) {
                Allowance::Now => {}
                Allowance::LogWaits(until) => {
                    batch.stopped = Some(Stopped::ByThrottle(until));
                    break;
                }
                Allowance::TopicWaits(_) => {
                    self.redeliveries.throttle(record.topic);
                    continue;
                }
            }
            if batch.begun.is_none() {
                batch.begun = Some(self.begin()?);
            }
            if !self.hand_over(&mut batch, head, &record).await? {
                break;
            }
        }
        if batch.end() == head.next && batch.begun.is_some() {
            within(self.leadership, self.stop, self.transactions.abort())
                .await?
                .map_err(RunEnd::Broker)?;
        }
        Ok(batch)
    }

    /// Whether the record at a batch's end is left out of the transaction: it is in the dead letters, or goes there.
    fn leave_out(&self, batch: &mut Batch, head: &PageProgress, record: &OutboxRecord<'_>) -> bool {
        let row = (record.seq, record.id);
        let decided = self.interventions.known();
        if head.dead_lettered.contains(&row) {
            batch.leave_out();
        } else if let Some(why) = decided.skips.why(&record.id) {
            batch.dies(record, SKIPPED, why.to_owned(), false);
        } else if decided.pauses.key(record.topic, record.key).is_some() {
            batch.park_paused(row);
        } else if let Some(topic) = self.redeliveries.suspended(record.topic) {
            batch.park(topic, row);
        } else if batch.is_blocked(record) {
            batch.park_behind(row);
        } else if let Some((reason, error)) = head.condemned.get(&batch.end()) {
            let blocks = self.redeliveries.blocks(record.topic);
            batch.dies(record, reason, error.clone(), blocks);
        } else {
            return false;
        }
        true
    }

    /// Hands the record at a batch's end over. `false` if the batch ends before it.
    async fn hand_over(
        &mut self,
        batch: &mut Batch,
        head: &PageProgress,
        record: &OutboxRecord<'_>,
    ) -> Result<bool, RunEnd> {
        let ticket = batch.end() as u64;
        if let Err(error) = self.transactions.send(ticket, record, &self.wire) {
            return self.not_taken(batch, head, record, error).await;
        }
        failpoint::reach(Failpoint::Produced);
        self.telemetry.sent(ticket, record);
        self.throttling.sent(record.topic, weight(record));
        batch.was_sent(weight(record));
        Ok(true)
    }

    /// The publisher did not take the record at a batch's end. `false` if the batch ends before it.
    async fn not_taken(
        &mut self,
        batch: &mut Batch,
        head: &PageProgress,
        record: &OutboxRecord<'_>,
        error: PublishError,
    ) -> Result<bool, RunEnd> {
        match error.kind() {
            PublishErrorKind::Record(reason) => {
                let blocks = self.redeliveries.blocks(record.topic);
                // It is not dead-lettered ahead of those of its key that this transaction may still fail to deliver.
                if blocks && batch.sent() > 0 {
                    return Ok(false);
                }
                batch.dies(record, reason, error.to_string(), blocks);
                Ok(true)
            }
            PublishErrorKind::Unprepared => {
                let topic = record.topic.to_owned();
                if !self.transactions.is_announced(&topic) {
                    self.transactions.announce(&head.page.topics_from(batch.end()));
                }
                match self.prepare(&topic).await? {
                    Ready::Yes => return Ok(true),
                    Ready::OpenAgain => batch.stopped = Some(Stopped::ToOpenAgain),
                    Ready::No(error) => batch.stopped = Some(Stopped::ByTopic(topic, error)),
                }
                Ok(false)
            }
            PublishErrorKind::Topic => {
                batch.stopped = Some(Stopped::ByTopic(record.topic.to_owned(), error));
                Ok(false)
            }
            PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Full
            | PublishErrorKind::Fatal
            | PublishErrorKind::Configuration => Err(RunEnd::Refused(error)),
        }
    }

    /// Writes down what the transaction leaves out, before it is committed. From here on the page leaves it out too,
    /// however often it is tried.
    async fn write_dead_letters(&mut self, head: &mut PageProgress, batch: &mut Batch) -> Result<(), RunEnd> {
        if batch.leaves_nothing_out() {
            return Ok(());
        }
        self.dead_lettered_ahead = true;
        for topic in batch.blocking_topics() {
            self.redeliveries.have_dead_letters(topic);
        }
        for dead_letter in batch.take_dead_letters() {
            let DeadLetter {
                seq,
                id,
                reason,
                ref error,
            } = dead_letter;
            match reason {
                SKIPPED => {
                    tracing::warn!(event = "skipped", seq, %id, why = error, "an operator skips a record; it goes to the dead letters");
                }
                _ => {
                    tracing::error!(event = "dead_letter", seq, %id, reason, error, "a record cannot be delivered; it goes to the dead letters");
                }
            }
            self.write(Write::DeadLetter(dead_letter)).await?;
            head.dead_lettered.insert((seq, id));
            self.count_dead_lettered(&head.page, (seq, id), reason);
        }
        for (why, rows) in batch.take_parked(&self.redeliveries) {
            let reason = why.as_ref().map_or(BEHIND_DEAD, |why| why.reason);
            self.count_parked(head, &rows, reason);
            head.dead_lettered.extend(rows.iter().copied());
            let parked = rows.len() as u64;
            let park = match why {
                Some(why) => Write::Park(rows, why),
                None => Write::ParkBehind(rows),
            };
            self.write(park).await?;
            self.telemetry.parked(parked);
        }
        failpoint::reach(Failpoint::DeadLettersWritten);
        Ok(())
    }
}
