//! One reader's worth of work: pages in, records out, settlements back, the cursor after them.

use tokio::time::Instant;

use super::cursor_writes::{CursorWrites, SettledTo};
use super::delivery::{Delivery, Offer};
use super::health_check::Front;
use super::page_redelivery::OpenRedelivery;
use super::silence::{Silence, stuck};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::relay::backoff::Backoff;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::key_redelivery::KeyRedelivery;
use crate::relay::dead_letters::lookup::AnnotatedPage;
use crate::relay::goal::Goal;
use crate::relay::interventions::InterventionWatch;
use crate::relay::leadership::Leadership;
use crate::relay::reader_task::{Done, Read, ReaderHandle, Request};
use crate::relay::report::Server;
use crate::relay::run_end::RunEnd;
use crate::relay::scope::Scope;
use crate::relay::stop::Stop;
use crate::store::Interventions;

/// Records handed over before the lease and the settlements are looked at again: some milliseconds' worth.
const BURST: usize = 512;

pub(in crate::relay) struct PipelineRun<'a, P> {
    pub(super) delivery: &'a mut Delivery<P>,
    pub(super) feed: ReaderHandle,
    pub(super) leadership: &'a Leadership,
    pub(super) stop: &'a Stop,
    pub(super) config: &'a RelayConfig,
    pub(super) goal: Goal,
    /// The page that is being handed over, and the index of its next record.
    pub(super) current: Option<(AnnotatedPage, usize)>,
    pub(super) cursor: CursorWrites,
    pub(super) page_redeliveries: Vec<OpenRedelivery>,
    pub(super) key_redeliveries: Vec<KeyRedelivery>,
    /// What pauses between attempts on topics that are suspended are made of.
    pub(super) backoff: Backoff,
    pub(super) front: Front,
    interventions: InterventionWatch,
    pub(super) end_checked: u64,
    pub(super) offered: u64,
    silence: Silence,
}

/// What a run waits for.
enum Event {
    LeaseLost,
    StopAsked,
    /// The reader has done something; `None` when it has ended.
    Done(Option<Done>),
    /// The reader has read something; `None` when it has ended.
    Read(Option<Read>),
    /// Records were settled.
    Settled,
    /// Something is due.
    Deadline,
}

/// What the hand-over waits for.
enum Wait {
    ForPage,
    ForRoom,
    /// There is more to hand over.
    Not,
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

impl<'a, P: Publisher> PipelineRun<'a, P> {
    /// A run that reads through `feed`, while this is decided.
    pub(in crate::relay) fn new(
        delivery: &'a mut Delivery<P>,
        feed: ReaderHandle,
        scope: Scope<'a>,
        interventions: Interventions,
    ) -> Self {
        Self {
            delivery,
            feed,
            leadership: scope.leadership,
            stop: scope.stop,
            config: scope.config,
            goal: scope.goal,
            current: None,
            cursor: CursorWrites::new(),
            page_redeliveries: Vec::new(),
            key_redeliveries: Vec::new(),
            backoff: Backoff::new(scope.config),
            front: Front::new(),
            interventions: InterventionWatch::new(interventions),
            end_checked: 0,
            offered: 0,
            silence: Silence::new(),
        }
    }

    pub(in crate::relay) async fn run(mut self) -> RunEnd {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Does what can be done at once, then waits for the next event and handles it.
    async fn step(&mut self) -> Result<(), RunEnd> {
        if self.leadership.is_over() {
            return Err(RunEnd::LeaseLost);
        }
        if let Some(changed_at) = self.interventions.changed_at() {
            return Err(self.settle_and_begin_again(changed_at).await);
        }
        let pause = self.hand_over();
        self.delivery.show_in_flight();
        self.advance_page_redeliveries().await?;
        self.advance_key_redeliveries().await?;
        self.delivery.ask_for_parking(&self.feed);
        let wait = match pause {
            Pause::Failed(error) => return Err(RunEnd::Refused(error)),
            Pause::Unprepared(topic) => return self.prepare_with_others(&topic).await,
            Pause::CaughtUp => return Err(self.settle_and_finish().await),
            Pause::NoPage => Wait::ForPage,
            Pause::NoRoom => Wait::ForRoom,
            Pause::Burst => Wait::Not,
        };
        self.check_topic_health()?;
        self.check_end_if_done();
        self.silence.watch(self.delivery.oldest());
        self.check_silence().await?;
        if self
            .cursor
            .due(self.settled())
            .is_some_and(|due| due <= Instant::now())
        {
            self.persist();
        }
        if self.follows_interventions() && self.interventions.is_due() {
            self.interventions.asked();
            self.feed.ask(Request::ReadInterventions);
        }
        let event = self.next_event(wait).await;
        self.handle(event).await
    }

    /// Waits for the next event. Cancel safe.
    async fn next_event(&mut self, wait: Wait) -> Event {
        let goes_on = matches!(wait, Wait::Not) || self.has_redeliveries();
        let deadline = self.next_deadline();
        tokio::select! {
            biased;
            () = self.leadership.over() => Event::LeaseLost,
            () = self.stop.asked(), if self.goal != Goal::CatchUp => Event::StopAsked,
            done = self.feed.done.recv() => Event::Done(done),
            read = self.feed.pages.next(), if matches!(wait, Wait::ForPage) => Event::Read(read),
            () = self.delivery.settled() => Event::Settled,
            // A sleep takes a millisecond even if its deadline has passed.
            () = std::future::ready(()), if goes_on => Event::Deadline,
            () = tokio::time::sleep_until(deadline) => Event::Deadline,
        }
    }

    /// When there is something to do though nothing happens.
    fn next_deadline(&mut self) -> Instant {
        let cursor = self.cursor.due(self.settled());
        let silence = (self.delivery.outstanding() > 0).then(|| self.silence.next_word());
        let others = [
            self.delivery.throttling.take_next(),
            cursor,
            silence,
            self.next_topic_check(),
            self.next_key_redelivery(),
            self.follows_interventions()
                .then(|| self.interventions.next_look()),
        ];
        let first = others.into_iter().flatten().min();
        first.map_or(self.next_redelivery(), |first| first.min(self.next_redelivery()))
    }

    /// A run that only settles what it finds begun is not held up by anybody.
    fn follows_interventions(&self) -> bool {
        self.goal != Goal::CatchUp
    }

    async fn handle(&mut self, event: Event) -> Result<(), RunEnd> {
        match event {
            Event::LeaseLost => Err(RunEnd::LeaseLost),
            Event::StopAsked => Err(self.settle_and_finish().await),
            Event::Done(Some(done)) => {
                self.done(done);
                Ok(())
            }
            Event::Read(Some(Read::Page(page))) => {
                self.take(page);
                Ok(())
            }
            Event::Read(Some(Read::Nothing { end_check })) => self.end_of_log(end_check).await,
            Event::Done(None) | Event::Read(None) => Err(RunEnd::Store(self.feed.failed().await)),
            Event::Settled => self.delivery.note(Some(&self.feed)).map_err(RunEnd::Broker),
            // What is due is done by the next step.
            Event::Deadline => Ok(()),
        }
    }

    /// Nothing else is committed.
    async fn end_of_log(&mut self, end_check: u64) -> Result<(), RunEnd> {
        self.cursor.end_reached();
        self.delivery.telemetry.end_of_log();
        self.delivery.met_all();
        if self.delivery.in_flight.all_settled() {
            self.delivery.telemetry.well();
            self.made_progress();
        }
        if self.goal == Goal::CatchUp {
            return Err(self.settle_and_finish().await);
        }
        if self.is_drained(end_check) {
            return Err(self.finish(RunEnd::Drained).await);
        }
        Ok(())
    }

    /// Says that nothing is acknowledged for long, and finds out whether the client is stuck.
    async fn check_silence(&mut self) -> Result<(), RunEnd> {
        let outstanding = self.delivery.outstanding();
        if outstanding == 0 || Instant::now() < self.silence.next_word() {
            return Ok(());
        }
        self.delivery
            .telemetry
            .trouble(Server::Kafka, "no acknowledgement from Kafka");
        match self.silence.report(outstanding) {
            true => self.stuck().await.map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// Whether the client is stuck: nothing is acknowledged, though the broker answers.
    async fn stuck(&mut self) -> Option<RunEnd> {
        tokio::select! {
            biased;
            () = self.leadership.over() => Some(RunEnd::LeaseLost),
            () = self.stop.asked(), if self.goal != Goal::CatchUp => Some(self.settle_and_finish().await),
            stuck = stuck(&mut self.delivery.publisher) => stuck.map(RunEnd::Broker),
        }
    }

    fn take(&mut self, page: AnnotatedPage) {
        self.cursor.page_read();
        self.offered += page.page.len() as u64;
        self.delivery
            .telemetry
            .page(page.page.window(), page.page.len(), page.page.size());
        self.delivery.keys.forget(page.revision);
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

    /// Prepares a topic of the current page, and lets the publisher ask for the others of the page too. A topic that takes
    /// no records is suspect.
    async fn prepare_with_others(&mut self, topic: &str) -> Result<(), RunEnd> {
        if let Some((page, next)) = &self.current
            && !self.delivery.publisher.is_announced(topic)
        {
            self.delivery.publisher.announce(&page.page.topics_from(*next));
        }
        match self.prepare(topic).await? {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == PublishErrorKind::Topic => {
                let topic = self.delivery.topics.number(topic);
                self.delivery.suspect(topic, &error);
                Ok(())
            }
            Err(error) => Err(RunEnd::Refused(error)),
        }
    }

    pub(in crate::relay) async fn prepare(
        &mut self,
        topic: &str,
    ) -> Result<Result<(), PublishError>, RunEnd> {
        tokio::select! {
            biased;
            () = self.leadership.over() => Err(RunEnd::LeaseLost),
            () = self.stop.asked() => Err(self.settle_and_finish().await),
            prepared = self.delivery.publisher.prepare(topic) => Ok(prepared),
        }
    }

    /// Takes note of what the reader has done.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Persisted(mark) => {
                self.delivery.in_flight.persisted(mark);
                self.made_progress();
            }
            Done::DeadLetterWritten(ticket, reason, at) => {
                self.delivery.dead_letter_written(ticket, reason, at);
            }
            Done::NotedBroker { before, now } => self.delivery.broker.noted(before.as_deref(), &now),
            Done::Parked(queue, rows, reason, at) => self.delivery.parked(queue, &rows, reason, at),
            Done::Released(topic, page, read) => self.released(topic, &page, read),
            Done::DeadLettersRead(kind, page) => self.redelivery_page(kind, page),
            Done::TakenOut(at) => self.delivery.taken_out(at),
            Done::FailedAgain(at) => self.delivery.keys.passed(at),
            Done::InterventionsRead(found) => {
                self.delivery.throttling.follow(&found.throttles, Instant::now());
                self.interventions.found(&found);
            }
        }
    }

    /// The term has come as far as it could: whatever ends it now, no record has kept it from working.
    fn made_progress(&mut self) {
        if !std::mem::replace(&mut self.delivery.made_progress, true) {
            self.feed.ask(Request::ClearPoison);
        }
    }

    /// Whether nothing more can be read for now: the log ends here, or more cannot be remembered.
    pub(super) fn has_read_all(&self) -> bool {
        (self.cursor.is_at_end() && self.current.is_none()) || self.delivery.remembers_enough()
    }

    /// How far records are settled.
    pub(super) fn settled(&self) -> SettledTo {
        SettledTo {
            mark: self.delivery.in_flight.settled_to(),
            all: self.delivery.in_flight.all_settled(),
        }
    }

    fn persist(&mut self) {
        let settled = self.settled();
        if let Some(mark) = self.cursor.write(settled, self.config.persist_interval) {
            self.feed.ask(Request::Persist(mark));
        }
    }

    /// Asks whether the log has ended, once everything that was read is settled.
    fn check_end_if_done(&mut self) {
        let idle = self.current.is_none() && self.delivery.in_flight.all_settled();
        if self.goal == Goal::Drain
            && idle
            && self.redeliveries_are_done()
            && self.end_checked != self.offered + 1
        {
            self.end_checked = self.offered + 1;
            self.feed.ask(Request::CheckEnd(self.end_checked));
        }
    }

    fn is_drained(&mut self, end_check: u64) -> bool {
        let looked_after_all = end_check == self.offered + 1 && self.delivery.in_flight.all_settled();
        if looked_after_all && !self.redeliveries_are_done() {
            // Something came up; it is asked again afterwards.
            self.end_checked = 0;
            return false;
        }
        self.goal == Goal::Drain && looked_after_all
    }
}
