//! How a topic that blocks sends what waits in the dead letters: keys one after the other, scan after scan, until
//! a whole scan finds nothing that may go.

use tokio::time::Instant;

use super::page_redelivery::RedeliveryContext;
use crate::relay::backoff::Backoff;
use crate::relay::topic_health::TopicNumber;
use crate::store::Released;

/// The redelivery of one topic, by key.
pub(in crate::relay) struct KeyRedelivery {
    pub(in crate::relay) topic: TopicNumber,
    phase: Phase,
    /// The key that the next page begins with; `None` at the beginning of a scan.
    next: Option<String>,
    /// Whether this scan found something.
    found: bool,
    /// Whether its topic is suspended.
    suspended: bool,
    /// Whether nothing has shown yet that it takes records again.
    probing: bool,
    /// How many batches were asked for before the scan began.
    batches: u64,
    /// It looked since the reader began.
    tried: bool,
    /// When it handed over something last.
    pub(in crate::relay) changed: Instant,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Resting(Instant),
    Reading,
    /// What was read is handed over; its outcome is awaited.
    Settling,
}

/// What a scan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::relay) enum Step {
    /// Nothing, until something happens or until this instant.
    Wait(Option<Instant>),
    /// Its topic has to be asked for, and then [`KeyRedelivery::read`].
    Prepare,
    /// What may go of the keys from this one on.
    Read(Option<String>),
    /// Nothing may go any more.
    Finish,
}

impl KeyRedelivery {
    pub(in crate::relay) fn new(topic: TopicNumber, now: Instant, backoff: Backoff) -> Self {
        Self {
            topic,
            phase: Phase::Resting(now),
            next: None,
            found: false,
            suspended: false,
            probing: false,
            batches: 0,
            tried: false,
            changed: now,
            backoff,
        }
    }

    /// Whether its topic is suspended now.
    pub(in crate::relay) fn is_suspended(&mut self, suspended: bool) {
        self.probing |= suspended && !self.suspended;
        self.suspended = suspended;
    }

    pub(in crate::relay) fn step(&self, now: Instant, context: RedeliveryContext) -> Step {
        match self.phase {
            Phase::Resting(until) if now < until => Step::Wait(Some(until)),
            Phase::Reading => Step::Wait(None),
            // What the publisher has must not be sent a second time, nor overtaken.
            Phase::Resting(_) | Phase::Settling if context.in_flight > 0 || !context.clean => {
                Step::Wait(None)
            }
            Phase::Resting(_) if self.probing => Step::Prepare,
            Phase::Resting(_) => Step::Read(self.next.clone()),
            Phase::Settling if self.next.is_some() => Step::Read(self.next.clone()),
            Phase::Settling if self.found || context.waiting || self.batches != context.batches => {
                Step::Read(None)
            }
            Phase::Settling => Step::Finish,
        }
    }

    /// Its page was asked for.
    pub(in crate::relay) fn read(&mut self, from: Option<&str>, context: RedeliveryContext) {
        if self.phase == Phase::Settling && self.found {
            self.backoff = self.backoff.fresh();
        }
        if from.is_none() {
            (self.found, self.batches) = (false, context.batches);
        }
        self.phase = Phase::Reading;
    }

    /// Its page is here, and handed over. `false` if nobody waits for it any more.
    pub(in crate::relay) fn page(&mut self, page: &Released) -> bool {
        if self.phase != Phase::Reading {
            return false;
        }
        self.phase = Phase::Settling;
        self.found |= !page.records.is_empty();
        // Behind a first record all keys come again, once it is acknowledged.
        let alone = std::mem::take(&mut self.probing) && !page.records.is_empty();
        self.next = page.next.clone().filter(|_| !alone);
        self.changed = Instant::now();
        true
    }

    /// Something did not go through: again, later.
    pub(in crate::relay) fn failed(&mut self, now: Instant) {
        let pause = self.backoff.next();
        self.finish(now + pause);
        self.probing = self.suspended;
    }

    /// It begins again now.
    pub(in crate::relay) fn start_over(&mut self, now: Instant) {
        self.phase = Phase::Resting(now);
        (self.next, self.tried) = (None, false);
    }

    /// Its records were refused together: a single one goes first.
    pub(in crate::relay) fn distrust(&mut self, now: Instant) {
        self.finish(now);
        self.probing = true;
    }

    /// It goes on then.
    pub(in crate::relay) fn rest(&mut self, until: Instant) {
        self.phase = Phase::Resting(until);
    }

    /// Another scan begins then.
    pub(in crate::relay) fn finish(&mut self, until: Instant) {
        self.rest(until);
        (self.next, self.tried) = (None, true);
    }

    /// Nothing is read until it is known why the topic is suspect. A page that was asked for before is discarded.
    pub(in crate::relay) fn wait_for_topic(&mut self) {
        if self.phase != Phase::Settling {
            self.phase = Phase::Resting(Instant::now());
        }
    }

    /// Whether it may be left alone for now.
    pub(in crate::relay) fn is_idle(&self) -> bool {
        self.tried && matches!(self.phase, Phase::Resting(_) | Phase::Reading)
    }
}
