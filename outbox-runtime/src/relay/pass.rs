//! One reader's worth of work: pages in, records out, settlements back, the cursor after them.

use tokio::time::Instant;

use super::backoff::Backoff;
use super::delivery::{Delivery, Offer};
use super::doubts::Front;
use super::feed::{Done, Feed, Read, Request};
use super::informed::Informed;
use super::lane::Lane;
use super::round::Round;
use super::silence::Silence;
use super::stop::Stop;
use super::tenure::Tenure;
use super::{Goal, RelayConfig};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::store::{Mark, Store, StoreError};

/// Records handed over before the lease and the settlements are looked at again: some milliseconds' worth.
const BURST: usize = 512;

/// Why a pass ended.
pub(super) enum End {
    /// The lease is over.
    LeaseLost,
    /// A stop was asked for, and everything handed over is settled or given up.
    Stopped,
    /// Everything that was committed is settled.
    Drained,
    /// The database failed.
    Store(StoreError),
    /// The broker failed a record that was handed over.
    Broker(PublishError),
    /// The next record could not be handed over.
    Refused(PublishError),
    /// Records that were held back have to be read again.
    Again,
}

pub(super) struct Pass<'a, S: Store, P> {
    pub(super) delivery: &'a mut Delivery<P>,
    pub(super) feed: Feed,
    pub(super) tenure: &'a Tenure<S>,
    pub(super) stop: &'a Stop,
    pub(super) config: &'a RelayConfig,
    pub(super) goal: Goal,
    /// The page that is being handed over, and the index of its next record.
    pub(super) current: Option<(Informed, usize)>,
    pub(super) cursor: CursorWrites,
    pub(super) lanes: Vec<Lane>,
    pub(super) rounds: Vec<Round>,
    /// What pauses between attempts on topics that are set aside are made of.
    pub(super) backoff: Backoff,
    pub(super) front: Front,
    pub(super) probed: u64,
    pub(super) offered: u64,
}

/// When the cursor is written next, and what was asked for.
pub(super) struct CursorWrites {
    next_at: Instant,
    asked: Option<Mark>,
    /// The log was found to end here: the window behind `asked` can be closed.
    end_reached: bool,
}

impl CursorWrites {
    pub(super) fn new() -> Self {
        Self {
            next_at: Instant::now(),
            asked: None,
            end_reached: false,
        }
    }
}

/// What kept the hand-over from going on.
enum Pause {
    NoPage,
    NoRoom,
    /// Nothing: there is more to hand over.
    Burst,
    /// No settled record lies ahead, and nothing else is to be sent any more.
    CaughtUp,
    Unprepared(String),
    Failed(PublishError),
}

impl<S: Store, P: Publisher> Pass<'_, S, P> {
    pub(super) async fn run(mut self) -> End {
        let mut silence = Silence::new();
        loop {
            let pause = if self.tenure.is_over() {
                return End::LeaseLost;
            } else {
                self.hand_over()
            };
            if let Err(end) = self.tend_lanes().await {
                return end;
            }
            if let Err(end) = self.tend_rounds().await {
                return end;
            }
            self.delivery.ask_for_parking(&self.feed);
            match pause {
                Pause::Failed(error) => return End::Refused(error),
                Pause::Unprepared(topic) => match self.prepare(&topic).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) if error.kind() == PublishErrorKind::Topic => {
                        let topic = self.delivery.topics.number(&topic);
                        self.delivery.doubt(topic, &error);
                        continue;
                    }
                    Ok(Err(error)) => return End::Refused(error),
                    Err(end) => return end,
                },
                Pause::CaughtUp => return self.settle_and_finish().await,
                Pause::NoPage | Pause::NoRoom | Pause::Burst => {}
            }
            if let Some(end) = self.tend_doubts() {
                return end;
            }
            self.probe_if_done();
            silence.watch(self.delivery.oldest());
            let goes_on = matches!(pause, Pause::Burst) || self.has_errands();
            let (errand, doubt, round) = (self.next_errand(), self.next_doubt(), self.next_round());
            let starved = matches!(pause, Pause::NoPage);
            tokio::select! {
                biased;
                () = self.tenure.over() => return End::LeaseLost,
                () = self.stop.asked(), if self.goal != Goal::CatchUp => return self.settle_and_finish().await,
                () = tokio::time::sleep_until(self.cursor.next_at), if self.cursor_moved() => self.persist(),
                done = self.feed.done.recv() => match done {
                    Some(done) => self.done(done),
                    None => return End::Store(self.feed.failed().await),
                },
                read = self.feed.pages.recv(), if starved => match read {
                    Some(Read::Page(page)) => self.take(page),
                    Some(Read::Nothing { probe }) => {
                        self.cursor.end_reached = true;
                        self.delivery.met_all();
                        if self.delivery.in_flight.all_settled() {
                            self.delivery.progress.well();
                            self.got_somewhere();
                        }
                        if self.goal == Goal::CatchUp {
                            return self.settle_and_finish().await;
                        }
                        if self.is_drained(probe) {
                            return self.finish(End::Drained).await;
                        }
                    }
                    None => return End::Store(self.feed.failed().await),
                },
                () = self.delivery.settled() => {
                    if let Err(error) = self.delivery.note(Some(&self.feed)) {
                        return End::Broker(error);
                    }
                }
                () = tokio::time::sleep_until(silence.next_word()), if self.delivery.outstanding() > 0 => {
                    self.delivery.progress.trouble_with("no acknowledgement from Kafka");
                    if silence.tell(self.delivery.outstanding())
                        && let Some(end) = self.stuck().await
                    {
                        return end;
                    }
                }
                () = std::future::ready(()), if goes_on => {}
                () = tokio::time::sleep_until(errand) => {}
                () = until(doubt) => {}
                () = until(round) => {}
            }
        }
    }

    /// Whether the client is stuck: nothing is acknowledged, though the broker answers.
    async fn stuck(&mut self) -> Option<End> {
        tokio::select! {
            biased;
            () = self.tenure.over() => Some(End::LeaseLost),
            () = self.stop.asked(), if self.goal != Goal::CatchUp => Some(self.settle_and_finish().await),
            stuck = self.delivery.stuck() => stuck.map(End::Broker),
        }
    }

    fn take(&mut self, page: Informed) {
        self.cursor.end_reached = false;
        self.offered += page.page.len() as u64;
        self.delivery.keys.forget(page.moment);
        self.current = Some((page, 0));
    }

    fn hand_over(&mut self) -> Pause {
        for _ in 0..BURST {
            let Some((page, next)) = &mut self.current else {
                return Pause::NoPage;
            };
            let Some(record) = page.page.get(*next) else {
                self.current = None;
                return Pause::NoPage;
            };
            if self.goal == Goal::CatchUp && !self.delivery.knows_settled_ahead() {
                return Pause::CaughtUp;
            }
            match self.delivery.offer(page, *next, &record, &self.feed) {
                Offer::Taken => *next += 1,
                Offer::NoRoom => return Pause::NoRoom,
                Offer::Unprepared => return Pause::Unprepared(record.topic.to_owned()),
                Offer::Failed(error) => return Pause::Failed(error),
            }
        }
        Pause::Burst
    }

    pub(super) async fn prepare(&mut self, topic: &str) -> Result<Result<(), PublishError>, End> {
        tokio::select! {
            biased;
            () = self.tenure.over() => Err(End::LeaseLost),
            () = self.stop.asked() => Err(self.settle_and_finish().await),
            prepared = self.delivery.publisher.prepare(topic) => Ok(prepared),
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Persisted(mark) => {
                self.delivery.in_flight.persisted(mark);
                self.got_somewhere();
            }
            Done::Buried(ticket, at) => self.delivery.buried(ticket, at),
            Done::NotedBroker { before, now } => self.delivery.broker.noted(before.as_deref(), &now),
            Done::Parked(topic, rows, at) => self.delivery.parked(topic, &rows, at),
            Done::Released(topic, page, read) => self.released(topic, &page, read),
            Done::DeadLetters(errand, page) => self.errand_page(errand, page),
            Done::TakenOut(at) => self.delivery.taken_out(at),
            Done::FailedAgain(at) => self.delivery.keys.passed(at),
            Done::WindowBegun | Done::Told(_) | Done::HaveLetters(_) => {}
        }
    }

    /// The term has come as far as it could: whatever ends it now, no record has kept it from working.
    fn got_somewhere(&mut self) {
        if !std::mem::replace(&mut self.delivery.got_somewhere, true) {
            self.feed.ask(Request::Acquit);
        }
    }

    /// Whether nothing more can be read for now: the log ends here, or more cannot be remembered.
    pub(super) fn has_read_all(&self) -> bool {
        (self.cursor.end_reached && self.current.is_none()) || self.delivery.remembers_enough()
    }

    /// Whether there is something to write that was not asked for.
    fn cursor_moved(&self) -> bool {
        let settled = self.delivery.in_flight.settled_to();
        let moved = settled.is_some() && settled != self.cursor.asked;
        moved
            || (self.cursor.end_reached
                && self.cursor.asked.is_some()
                && self.delivery.in_flight.all_settled())
    }

    fn persist(&mut self) {
        let settled = self.delivery.in_flight.settled_to().or(self.cursor.asked);
        if let Some(mark) = settled {
            self.feed.ask(Request::Persist(mark));
            let closes = self.cursor.end_reached && self.delivery.in_flight.all_settled();
            self.cursor.asked = settled.filter(|_| !closes);
        }
        self.cursor.next_at = Instant::now() + self.config.persist_interval;
    }

    /// Asks whether the log has ended, once everything that was read is settled.
    fn probe_if_done(&mut self) {
        let idle = self.current.is_none() && self.delivery.in_flight.all_settled();
        if self.goal == Goal::Drain && idle && self.errands_are_done() && self.probed != self.offered + 1 {
            self.probed = self.offered + 1;
            self.feed.ask(Request::Probe(self.probed));
        }
    }

    fn is_drained(&mut self, probe: u64) -> bool {
        let looked_after_all = probe == self.offered + 1 && self.delivery.in_flight.all_settled();
        if looked_after_all && !self.errands_are_done() {
            // Something came up; it is asked again afterwards.
            self.probed = 0;
            return false;
        }
        self.goal == Goal::Drain && looked_after_all
    }

    /// Settles what was handed over, within the time a stop may take.
    async fn settle_and_finish(&mut self) -> End {
        let deadline = self.stop.deadline();
        self.current = None;
        while self.delivery.in_flight.is_under_way() || self.delivery.parking.all_afloat() > 0 {
            if self.goal == Goal::CatchUp {
                // What is behind others of its key stands before something that is settled, too. What cannot be
                // sent at once is read again.
                let _ = self.delivery.send_ready(&self.feed);
            }
            self.delivery.ask_for_parking(&self.feed);
            tokio::select! {
                biased;
                () = self.tenure.over() => return End::LeaseLost,
                () = tokio::time::sleep_until(deadline) => break,
                done = self.feed.done.recv() => match done {
                    Some(done) => self.done(done),
                    None => break,
                },
                () = self.delivery.settled() => {
                    if self.delivery.note(Some(&self.feed)).is_err() {
                        break;
                    }
                }
            }
        }
        self.finish(End::Stopped).await
    }

    /// Writes the cursor a last time, and takes out of the dead letters what was delivered.
    async fn finish(&mut self, end: End) -> End {
        let mut unwritten = self.delivery.in_flight.settled_to().or(self.cursor.asked);
        if let Some(mark) = unwritten {
            self.feed.ask(Request::Persist(mark));
        }
        while unwritten.is_some() || !self.delivery.parking.is_clean() {
            self.delivery.ask_for_parking(&self.feed);
            tokio::select! {
                () = self.tenure.over() => return End::LeaseLost,
                done = self.feed.done.recv() => match done {
                    Some(done) => {
                        if matches!(done, Done::Persisted(mark) if Some(mark) == unwritten) {
                            unwritten = None;
                        }
                        self.done(done);
                    }
                    None => return End::Store(self.feed.failed().await),
                },
            }
        }
        end
    }
}

/// Waits for a moment, if there is one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
