//! A page's way to the broker: one transaction, or as many as its troubles need.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::page_progress::PageProgress;
use super::redeliveries::Redeliveries;
use super::run::{Ready, TransactionalRun, within};
use crate::ErrorChain;
use crate::failpoint::{self, Failpoint};
use crate::publisher::{BrokerCursor, PublishError, PublishErrorKind, Settlement, Uncommitted};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::lookup::KeyQuery;
use crate::relay::dead_letters::parking::Lane;
use crate::relay::dead_letters::{BEHIND_DEAD, SKIPPED, key_paused};
use crate::relay::load::weight;
use crate::relay::reader_task::Request;
use crate::relay::run_end::RunEnd;
use crate::relay::throttle::Allowance;
use crate::relay::topic_health::TopicNumber;
use crate::store::{DeadLetter, Parked, RowId, Store, TopicKey};

/// Records handed over before the lease is looked at again.
const BURST: usize = 512;

/// What one transaction takes from a page.
#[derive(Default)]
struct Batch {
    /// Where it ends.
    end: usize,
    sent: usize,
    dead_letters: Vec<DeadLetter>,
    parked: HashMap<TopicNumber, Vec<RowId>>,
    /// Rows that wait behind dead ones of their keys.
    behind: Vec<RowId>,
    /// Rows whose keys are paused.
    paused: Vec<RowId>,
    /// Where it begins, and for each record from there on whether its key has dead letters.
    blocked: (usize, Vec<bool>),
    /// Keys of topics that block, of which this batch dead-letters a record.
    died: HashSet<TopicKey>,
    /// The topic of the record at its end takes none.
    stopped_by: Option<(String, PublishError)>,
    /// The producer has to be opened again before the record at its end can be sent.
    open_again: bool,
    /// A transaction was begun.
    begun: bool,
    /// The throttle lets the record at its end through then.
    throttled_until: Option<Instant>,
}

impl Batch {
    fn begin_at(next: usize) -> Self {
        Self {
            end: next,
            blocked: (next, Vec::new()),
            ..Self::default()
        }
    }

    /// Whether none of its rows goes into the dead letters.
    fn leaves_nothing_out(&self) -> bool {
        let parks_none = self.parked.is_empty() && self.behind.is_empty() && self.paused.is_empty();
        self.dead_letters.is_empty() && parks_none
    }

    /// Rows to park, and why; without a reason, they wait behind others of their keys.
    fn take_parked(&mut self, redeliveries: &Redeliveries) -> Vec<(Option<Parked>, Vec<RowId>)> {
        let suspended = self.parked.drain();
        let suspended = suspended.map(|(topic, rows)| (Some(redeliveries.why(topic)), rows));
        let paused = (Some(key_paused()), std::mem::take(&mut self.paused));
        let behind = (None, std::mem::take(&mut self.behind));
        let all = suspended.chain([paused, behind]);
        all.filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// Whether the record at its end has to wait behind a dead one of its key.
    fn is_blocked(&self, record: &OutboxRecord<'_>) -> bool {
        let (begin, blocked) = &self.blocked;
        blocked.get(self.end - begin) == Some(&true)
            || (!self.died.is_empty() && self.died.contains(&topic_key(record)))
    }

    /// The record at its end is dead-lettered.
    fn dies(&mut self, record: &OutboxRecord<'_>, reason: &'static str, error: String, blocks: bool) {
        self.dead_letters.push(DeadLetter {
            seq: record.seq,
            id: record.id,
            reason,
            error,
        });
        if blocks {
            self.died.insert(topic_key(record));
        }
        self.end += 1;
    }
}

impl<S: Store> TransactionalRun<'_, S> {
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
        let mut batch = self.fill(&mut head).await?;
        if batch.end == head.next {
            self.pages.push_front(head);
            if batch.open_again {
                return Err(RunEnd::Again);
            }
            if let Some((topic, error)) = batch.stopped_by {
                self.wait_for(topic, error).await?;
            }
            if let Some(until) = batch.throttled_until {
                // Somebody may take the throttle back meanwhile.
                let look = self.interventions.next_look();
                self.pause_until(until.min(look)).await?;
            }
            return Ok(());
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
        let most = self.config.max_in_flight_records;
        while head.is_untouched() && self.resumed != Some(head.page.window()) && head.page.len() < most {
            if self.pages.is_empty() && !self.read_more() {
                return;
            }
            let fits = |next: &mut PageProgress| {
                head.page.window() == next.page.window()
                    && head.page.len() + next.page.len() <= most
                    && head.page.size() + next.page.size() <= self.config.page_bytes
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
    async fn fill(&mut self, head: &mut PageProgress) -> Result<Batch, RunEnd> {
        let mut batch = Batch::begin_at(head.next);
        batch.blocked.1 = self.find_blocked(head).await?;
        let end = head.end();
        while batch.end < end {
            if batch.end.is_multiple_of(BURST) && self.leadership.is_over() {
                return Err(RunEnd::LeaseLost);
            }
            let Some(record) = head.page.get(batch.end) else {
                break;
            };
            let row = (record.seq, record.id);
            if head.dead_lettered.contains(&row) {
                batch.end += 1;
                continue;
            }
            if let Some(why) = self.interventions.known().skips.why(&record.id) {
                batch.dies(&record, SKIPPED, why.to_owned(), false);
                continue;
            }
            let pauses = &self.interventions.known().pauses;
            if pauses.key(record.topic, record.key).is_some() {
                batch.paused.push(row);
                batch.end += 1;
                continue;
            }
            if let Some(topic) = self.redeliveries.suspended(record.topic) {
                batch.parked.entry(topic).or_default().push(row);
                batch.end += 1;
                continue;
            }
            if batch.is_blocked(&record) {
                batch.behind.push(row);
                batch.end += 1;
                continue;
            }
            if let Some((reason, error)) = head.condemned.get(&batch.end) {
                let blocks = self.redeliveries.blocks(record.topic);
                batch.dies(&record, reason, error.clone(), blocks);
                continue;
            }
            match self.throttling.allows(record.topic, Instant::now()) {
                Allowance::Now => {}
                Allowance::LogWaits(until) => {
                    batch.throttled_until = Some(until);
                    break;
                }
                Allowance::TopicWaits(_) => {
                    self.redeliveries.throttle(record.topic);
                    continue;
                }
            }
            if !batch.begun {
                self.transactions.begin().map_err(RunEnd::Broker)?;
                batch.begun = true;
            }
            match self.transactions.send(batch.end as u64, &record, &self.wire) {
                Ok(()) => {
                    failpoint::reach(Failpoint::Produced);
                    self.telemetry.sent(batch.end as u64, &record);
                    self.throttling.sent(record.topic, weight(&record));
                    batch.sent += 1;
                    batch.end += 1;
                }
                Err(error) => {
                    if !self.not_taken(&mut batch, head, &record, error).await? {
                        break;
                    }
                }
            }
        }
        if batch.end == head.next && batch.begun {
            within(self.leadership, self.stop, self.transactions.abort())
                .await?
                .map_err(RunEnd::Broker)?;
        }
        Ok(batch)
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
                if blocks && batch.sent > 0 {
                    return Ok(false);
                }
                batch.dies(record, reason, error.to_string(), blocks);
                Ok(true)
            }
            PublishErrorKind::Unprepared => {
                let topic = record.topic.to_owned();
                self.transactions.announce(&head.page.topics_from(batch.end));
                match self.prepare(&topic).await? {
                    Ready::Yes => return Ok(true),
                    Ready::OpenAgain => batch.open_again = true,
                    Ready::No(error) => batch.stopped_by = Some((topic, error)),
                }
                Ok(false)
            }
            PublishErrorKind::Topic => {
                batch.stopped_by = Some((record.topic.to_owned(), error));
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
        for (topic, _) in batch.died.drain() {
            self.redeliveries.have_dead_letters(&topic);
        }
        for dead_letter in batch.dead_letters.drain(..) {
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
            self.ask(Request::WriteDeadLetter(0, dead_letter)).await?;
            head.dead_lettered.insert((seq, id));
            self.count_dead_lettered(&head.page, (seq, id), reason);
        }
        for (why, rows) in batch.take_parked(&self.redeliveries) {
            let reason = why.as_ref().map_or(BEHIND_DEAD, |why| why.reason);
            self.count_parked(head, &rows, reason);
            head.dead_lettered.extend(rows.iter().copied());
            let parked = rows.len() as u64;
            let rows = rows.into_iter().map(|row| (0, row)).collect();
            // Nobody looks at the lane here: the answer is awaited.
            let lane = Lane::Topic(0);
            let request = match why {
                Some(why) => Request::Park { lane, rows, why },
                None => Request::ParkBehind { lane, rows },
            };
            self.ask(request).await?;
            self.telemetry.parked(parked);
        }
        failpoint::reach(Failpoint::DeadLettersWritten);
        Ok(())
    }

    /// Commits the transaction and takes note of it, or of why it was not.
    async fn settle(&mut self, head: &mut PageProgress, batch: Batch) -> Result<(), RunEnd> {
        let last = head.page.get(batch.end - 1).map(|record| record.seq);
        let position = last.unwrap_or(self.position.position);
        if !batch.begun {
            self.transactions.begin().map_err(RunEnd::Broker)?;
        }
        self.telemetry.in_flight(batch.sent, 0);
        failpoint::reach(Failpoint::TransactionSent);
        match self.commit(position, Vec::new()).await? {
            Ok(()) => {
                self.position.position = position;
                self.count_delivered(head, batch.end);
                head.settled(batch.end);
                self.dead_lettered_ahead = false;
                self.moved();
                self.delivered(batch.sent);
                Ok(())
            }
            Err(refused) => self.after_refusal(head, batch.sent, refused).await,
        }
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

    /// The broker refused records. It may be their fault, or their topic's, or nobody's.
    async fn after_refusal(
        &mut self,
        head: &mut PageProgress,
        sent: usize,
        refused: Vec<Settlement>,
    ) -> Result<(), RunEnd> {
        self.telemetry.in_flight(0, 0);
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
                _ => others.push((index, *error)),
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
        tracing::warn!(error = %ErrorChain::new(&error), "a transaction was taken back");
        Err(RunEnd::Broker(error))
    }
}

fn topic_key(record: &OutboxRecord<'_>) -> TopicKey {
    (record.topic.to_owned(), record.key.to_owned())
}
