//! Who sends what out of the dead letters, and when: a redelivery for the replays, and one for each topic with records that
//! wait there.

use std::time::Duration;

use tokio::time::Instant;

use crate::relay::backoff::Backoff;
use crate::relay::blocking::Blocking;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::{REPLAY_POLL_INTERVAL, TOPIC_PAUSED, TOPIC_UNAVAILABLE};
use crate::relay::topic_health::TopicNumber;
use crate::store::{Parked, Pauses};

/// The redeliveries.
pub(in crate::relay) struct Redeliveries {
    all: Vec<TransactionalRedelivery>,
    blocking: Blocking,
    next_number: TopicNumber,
    backoff: Backoff,
    /// Pages and redeliveries take turns.
    page_first: bool,
}

pub(super) struct TransactionalRedelivery {
    /// The topic whose records these are; `None` for replays.
    pub(in crate::relay) topic: Option<TopicRedelivery>,
    pub(super) due: Instant,
    backoff: Backoff,
    /// Nothing came of it since the session began, or something did: it was tried.
    pub(in crate::relay) tried: bool,
    /// A record of it went through. SuspectUntil then, one at a time is tried.
    pub(in crate::relay) trusted: bool,
}

pub(super) struct TopicRedelivery {
    pub(in crate::relay) name: String,
    pub(in crate::relay) number: TopicNumber,
    /// Why the topic takes no records, if it is suspended.
    suspended: Option<String>,
    /// Somebody has paused it: nothing of it is sent.
    paused: bool,
    /// Its keys wait behind their dead records, and are gone through in scans.
    pub(in crate::relay) blocks: bool,
    /// The key that the scan goes on with; `None` at its beginning.
    pub(in crate::relay) next: Option<String>,
}

impl TopicRedelivery {
    pub(in crate::relay) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }
}

impl TransactionalRedelivery {
    fn new(topic: Option<TopicRedelivery>, backoff: Backoff) -> Self {
        Self {
            trusted: topic.as_ref().is_none_or(|topic| !topic.is_suspended()),
            topic,
            due: Instant::now(),
            backoff,
            tried: false,
        }
    }

    fn is_of(&self, topic: &str) -> bool {
        self.topic.as_ref().is_some_and(|known| known.name == topic)
    }

    fn is_paused(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.paused)
    }

    /// It may be that nothing of it goes through now.
    pub(in crate::relay) fn postpone(&mut self) {
        self.tried = true;
        self.trusted = false;
        self.due = Instant::now() + self.backoff.next();
    }

    /// Something of it went through.
    pub(super) fn went_through(&mut self) {
        self.trusted = true;
        self.due = Instant::now();
        self.backoff.reset();
    }
}

impl Redeliveries {
    /// Records of the topics `parked` wait since an earlier session, and `topics_with_dead_letters` have dead letters.
    pub(in crate::relay) fn new(
        config: &RelayConfig,
        parked: &[String],
        topics_with_dead_letters: &[String],
        pauses: &Pauses,
    ) -> Self {
        let backoff = Backoff::new(config);
        let mut redeliveries = Self {
            all: vec![TransactionalRedelivery::new(None, backoff.fresh())],
            blocking: Blocking::new(&config.block),
            next_number: 0,
            backoff,
            page_first: false,
        };
        // Where keys wait for themselves, the others of the topic need not.
        for topic in parked
            .iter()
            .filter(|topic| !redeliveries.blocks(topic))
            .collect::<Vec<_>>()
        {
            let why = "records of it wait since an earlier relay suspended it";
            redeliveries.open_topic(topic, Some(why.to_owned()));
        }
        for topic in topics_with_dead_letters {
            redeliveries.have_dead_letters(topic);
        }
        for (topic, why) in pauses.topics() {
            redeliveries.pause(topic, why);
        }
        redeliveries
    }

    /// Records of this topic are parked, and stay so.
    fn pause(&mut self, topic: &str, why: &str) {
        if !self.all.iter().any(|redelivery| redelivery.is_of(topic)) {
            self.open_topic(topic, None);
        }
        let known = self.all.iter_mut().filter_map(|redelivery| redelivery.topic.as_mut());
        for known in known.filter(|known| known.name == topic) {
            (known.suspended, known.paused) = (Some(why.to_owned()), true);
        }
    }

    fn open_topic(&mut self, topic: &str, suspended: Option<String>) {
        let topic = TopicRedelivery {
            name: topic.to_owned(),
            number: self.next_number,
            suspended,
            paused: false,
            blocks: self.blocks(topic),
            next: None,
        };
        self.all
            .push(TransactionalRedelivery::new(Some(topic), self.backoff.fresh()));
        self.next_number += 1;
    }

    pub(in crate::relay) fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Whether the topic's keys wait behind their dead records.
    pub(in crate::relay) fn blocks(&self, topic: &str) -> bool {
        self.blocking.covers(topic)
    }

    /// There are dead letters of this topic. If it blocks, its keys are looked at from now on.
    pub(in crate::relay) fn have_dead_letters(&mut self, topic: &str) {
        if self.blocks(topic) && !self.all.iter().any(|redelivery| redelivery.is_of(topic)) {
            self.open_topic(topic, None);
        }
    }

    /// Whether keys may wait behind dead records.
    pub(super) fn keys_may_wait(&self) -> bool {
        self.topics().any(|topic| topic.blocks)
    }

    /// From now on a topic's records are parked.
    pub(in crate::relay) fn suspend(&mut self, topic: &str, error: String) {
        if self.suspended(topic).is_some() {
            return;
        }
        tracing::warn!(
            event = "topic_suspended",
            topic,
            error,
            "the topic takes no records while others do; it is suspended, and its records wait in the dead letters"
        );
        let known = self.all.iter_mut().find(|redelivery| redelivery.is_of(topic));
        let Some(redelivery) = known else {
            return self.open_topic(topic, Some(error));
        };
        (redelivery.tried, redelivery.trusted, redelivery.due) = (false, false, Instant::now());
        if let Some(topic) = &mut redelivery.topic {
            (topic.suspended, topic.next) = (Some(error), None);
        }
    }

    fn topics(&self) -> impl Iterator<Item = &TopicRedelivery> {
        self.all.iter().filter_map(|redelivery| redelivery.topic.as_ref())
    }

    /// Topics that have a redelivery of their own.
    pub(in crate::relay) fn names(&self) -> Vec<String> {
        self.topics().map(|topic| topic.name.clone()).collect()
    }

    /// The number of a topic that is suspended.
    pub(in crate::relay) fn suspended(&self, topic: &str) -> Option<TopicNumber> {
        let found = self
            .topics()
            .find(|redelivery| redelivery.is_suspended() && redelivery.name == topic);
        found.map(|redelivery| redelivery.number)
    }

    /// How many topics are suspended.
    pub(super) fn suspended_count(&self) -> usize {
        self.topics().filter(|topic| topic.is_suspended()).count()
    }

    /// Why its records are parked.
    pub(in crate::relay) fn why(&self, topic: TopicNumber) -> Parked {
        let found = self.topics().find(|redelivery| redelivery.number == topic);
        let reason = match found.is_some_and(|redelivery| redelivery.paused) {
            true => TOPIC_PAUSED,
            false => TOPIC_UNAVAILABLE,
        };
        let error = found.and_then(|redelivery| redelivery.suspended.clone());
        Parked {
            reason,
            error: error.unwrap_or_default(),
        }
    }

    pub(super) fn redelivery(&self, index: usize) -> &TransactionalRedelivery {
        &self.all[index]
    }

    pub(super) fn redelivery_mut(&mut self, index: usize) -> &mut TransactionalRedelivery {
        &mut self.all[index]
    }

    /// The redelivery that is due, if the pages do not come first.
    pub(super) fn due(&self, pages_wait: bool) -> Option<usize> {
        if self.page_first && pages_wait {
            return None;
        }
        let now = Instant::now();
        self.all
            .iter()
            .position(|redelivery| redelivery.due <= now && !redelivery.is_paused())
    }

    /// When a redelivery is due that is not now.
    pub(super) fn next_due(&self) -> Instant {
        let now = Instant::now();
        let redeliveries = self.all.iter().filter(|redelivery| !redelivery.is_paused());
        redeliveries
            .map(|redelivery| redelivery.due)
            .filter(|due| *due > now)
            .min()
            .unwrap_or(now + REPLAY_POLL_INTERVAL)
    }

    /// Whether each redelivery was tried, and has nothing to do at the moment.
    pub(super) fn are_done(&self) -> bool {
        let now = Instant::now();
        self.all
            .iter()
            .filter(|redelivery| !redelivery.is_paused())
            .all(|redelivery| redelivery.tried && (redelivery.due > now || redelivery.topic.is_none()))
    }

    pub(super) fn had_its_turn(&mut self) {
        self.page_first = true;
    }

    pub(super) fn page_had_its_turn(&mut self) {
        self.page_first = false;
    }

    /// Nothing of a redelivery can go at the moment.
    pub(super) fn nothing_waits(&mut self, index: usize) {
        let look_again = self.look_again();
        let redelivery = &mut self.all[index];
        match &mut redelivery.topic {
            None => {
                redelivery.due = Instant::now() + REPLAY_POLL_INTERVAL;
                (redelivery.tried, redelivery.trusted) = (true, true);
            }
            // So many keys wait that looking at them takes a while. There is no hurry unless all of them wait.
            Some(topic) if topic.blocks && topic.next.is_some() => {
                let pause = if topic.is_suspended() {
                    Duration::ZERO
                } else {
                    look_again
                };
                redelivery.due = Instant::now() + pause;
            }
            Some(topic) if topic.blocks => {
                if topic.suspended.take().is_some() {
                    tracing::info!(
                        event = "topic_resumed",
                        topic = topic.name,
                        "the topic takes records again"
                    );
                }
                redelivery.due = Instant::now() + look_again;
                (redelivery.tried, redelivery.trusted) = (true, true);
            }
            Some(topic) => {
                tracing::info!(
                    event = "topic_resumed",
                    topic = topic.name,
                    "the topic takes records again"
                );
                self.all.remove(index);
            }
        }
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        REPLAY_POLL_INTERVAL * many.clamp(1, 20)
    }
}
