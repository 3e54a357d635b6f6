//! Which topics take records and which wait: the rule by which a topic is suspended.
//!
//! A topic whose record fails, or stays in flight for long, is *suspect*: its records are held back, those of
//! others go on. Once a record of another topic, handed over after that, is acknowledged, it is proven
//! that the broker works and this topic does not, and the topic is *suspended*. While nothing else is
//! acknowledged, as in an outage, no topic ever is.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::publisher::Ticket;
use crate::relay::backoff::Backoff;
use crate::relay::blocking::Blocking;
use crate::relay::config::RelayConfig;
use crate::store::{Parked, Pauses, TOPIC_PAUSED, TOPIC_THROTTLED};

/// Reason code: the topic is unavailable.
pub(super) const TOPIC_UNAVAILABLE: &str = "topic_unavailable";

/// A topic's name in short.
pub(in crate::relay) type TopicNumber = u32;

pub(in crate::relay) struct TopicHealth {
    numbers: HashMap<String, TopicNumber>,
    topics: Vec<Topic>,
    /// The topic that was asked for last: the next record is often of the same.
    last: TopicNumber,
    /// How many are suspect.
    suspect_count: usize,
    /// How many are suspended.
    suspended_count: usize,
    backoff: Backoff,
    blocking: Blocking,
}

struct Topic {
    name: String,
    /// Whether its keys wait behind a dead record.
    blocks: bool,
    state: TopicState,
    /// Pauses between attempts while it is in trouble.
    backoff: Option<Backoff>,
    /// When the broker refused it first, of late.
    refused_since: Option<Instant>,
    /// Why somebody has paused it. Then it is suspended, and nothing is sent out of the dead letters either.
    paused: Option<String>,
    /// It is suspended because it is throttled, and takes records.
    throttled: bool,
}

/// What happens to a topic's records.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::relay) enum TopicState {
    /// They are handed over as they are read.
    Healthy,
    /// They are held back.
    Suspect(Suspicion),
    /// They are parked in the dead letters, and go out from there.
    Suspended {
        /// Why, for people.
        error: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::relay) struct Suspicion {
    /// Only acknowledgements of other topics' records count that were handed over from this ticket on,
    since: Ticket,
    /// and at this time or later.
    not_before: Instant,
    error: String,
    pub(in crate::relay) until: SuspectUntil,
}

/// What clears a suspect topic that nothing proves to be unavailable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::relay) enum SuspectUntil {
    /// It failed, and is tried again then.
    Tried(Instant),
    /// Its records do not come back; this is the first of them.
    Settled(Ticket),
}

impl TopicHealth {
    pub(in crate::relay) fn new(config: &RelayConfig) -> Self {
        Self {
            numbers: HashMap::new(),
            topics: Vec::new(),
            last: 0,
            suspect_count: 0,
            suspended_count: 0,
            backoff: Backoff::new(config),
            blocking: Blocking::new(&config.block),
        }
    }

    /// Which topics block.
    pub(in crate::relay) fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Whether a topic's keys wait behind a dead record.
    pub(in crate::relay) fn blocks(&self, topic: TopicNumber) -> bool {
        self.topics.get(topic as usize).is_some_and(|topic| topic.blocks)
    }

    pub(in crate::relay) fn number(&mut self, name: &str) -> TopicNumber {
        if self
            .topics
            .get(self.last as usize)
            .is_some_and(|topic| topic.name == name)
        {
            return self.last;
        }
        self.last = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = self.topics.len() as TopicNumber;
                self.numbers.insert(name.to_owned(), number);
                self.topics.push(Topic {
                    name: name.to_owned(),
                    blocks: self.blocking.covers(name),
                    state: TopicState::Healthy,
                    backoff: None,
                    refused_since: None,
                    paused: None,
                    throttled: false,
                });
                number
            }
        };
        self.last
    }

    pub(in crate::relay) fn name(&self, topic: TopicNumber) -> &str {
        self.topics.get(topic as usize).map_or("", |topic| &topic.name)
    }

    pub(in crate::relay) fn state(&self, topic: TopicNumber) -> &TopicState {
        self.topics
            .get(topic as usize)
            .map_or(&TopicState::Healthy, |topic| &topic.state)
    }

    /// Whether more than one topic has been seen.
    pub(in crate::relay) fn are_several(&self) -> bool {
        self.topics.len() > 1
    }

    pub(in crate::relay) fn suspects(&self) -> impl Iterator<Item = (TopicNumber, &Suspicion)> {
        let topics = self.topics.iter().enumerate().filter(|_| self.suspect_count > 0);
        topics.filter_map(|(number, topic)| match &topic.state {
            TopicState::Suspect(suspicion) => Some((number as TopicNumber, suspicion)),
            TopicState::Healthy | TopicState::Suspended { .. } => None,
        })
    }

    /// How many topics are suspended.
    pub(in crate::relay) fn suspended_count(&self) -> usize {
        self.suspended_count
    }

    pub(in crate::relay) fn suspended(&self) -> impl Iterator<Item = TopicNumber> {
        let topics = self.topics.iter().enumerate();
        topics
            .filter(|(_, topic)| matches!(topic.state, TopicState::Suspended { .. }))
            .map(|(number, _)| number as TopicNumber)
    }

    /// A record of it failed, and it is the topic's fault. `next` is the next hand-over's ticket.
    pub(in crate::relay) fn failed(&mut self, topic: TopicNumber, next: Ticket, error: String) {
        let fresh = self.backoff.fresh();
        let Some(known) = self.topics.get_mut(topic as usize) else {
            return;
        };
        let pause = known.backoff.get_or_insert(fresh).next();
        known.refused_since.get_or_insert_with(Instant::now);
        let until = SuspectUntil::Tried(Instant::now() + pause);
        self.suspect(topic, next, error, until);
    }

    /// Its records, of which `first` is one, have been on their way for `silent`.
    pub(in crate::relay) fn silent(
        &mut self,
        topic: TopicNumber,
        first: Ticket,
        next: Ticket,
        silent: Duration,
    ) {
        let error = format!(
            "no acknowledgement for {} s while other topics are acknowledged",
            silent.as_secs()
        );
        let until = SuspectUntil::Settled(first);
        self.suspect(topic, next, error, until);
    }

    fn suspect(&mut self, topic: TopicNumber, since: Ticket, error: String, until: SuspectUntil) {
        if let Some(topic) = self.topics.get_mut(topic as usize)
            && topic.state == TopicState::Healthy
        {
            topic.state = TopicState::Suspect(Suspicion {
                since,
                not_before: Instant::now(),
                error,
                until,
            });
            self.suspect_count += 1;
        }
    }

    /// Suspect topics that the broker has refused for so long.
    pub(in crate::relay) fn refused_for(&self, long: Duration) -> Vec<TopicNumber> {
        let refused = |topic: TopicNumber| {
            let since = self.topics.get(topic as usize)?.refused_since?;
            Some(since.elapsed() >= long)
        };
        let suspects = self.suspects().map(|(topic, _)| topic);
        suspects.filter(|topic| refused(*topic) == Some(true)).collect()
    }

    /// The broker seems to be back: suspect topics get until `until`.
    pub(in crate::relay) fn postpone(&mut self, next: Ticket, until: Instant) {
        for topic in self.topics.iter_mut().filter(|_| self.suspect_count > 0) {
            if let TopicState::Suspect(suspicion) = &mut topic.state {
                (suspicion.since, suspicion.not_before) = (next, until);
            }
        }
    }

    /// A record was acknowledged; returns the topics that are proven to take none while others do.
    pub(in crate::relay) fn acknowledged(&mut self, topic: TopicNumber, ticket: Ticket) -> Vec<TopicNumber> {
        if let Some(known) = self.topics.get_mut(topic as usize)
            && known.backoff.is_some()
            && known.state == TopicState::Healthy
        {
            known.backoff = None;
            known.refused_since = None;
        }
        if self.suspect_count == 0 || *self.state(topic) != TopicState::Healthy {
            return Vec::new();
        }
        let now = Instant::now();
        let proven = self
            .suspects()
            .filter(|(_, suspicion)| suspicion.since <= ticket && suspicion.not_before <= now);
        proven.map(|(number, _)| number).collect()
    }

    /// Nothing is in flight: records of suspect topics may be sent again, before their pauses are over.
    pub(in crate::relay) fn recover_suspects(&mut self) {
        let suspects: Vec<_> = self.suspects().map(|(topic, _)| topic).collect();
        for topic in suspects {
            self.recover(topic);
        }
    }

    /// From now on its records are parked.
    pub(in crate::relay) fn suspend(&mut self, topic: TopicNumber, why: &str) {
        let Some(topic) = self.topics.get_mut(topic as usize) else {
            return;
        };
        let error = match &topic.state {
            TopicState::Suspect(suspicion) => {
                self.suspect_count -= 1;
                suspicion.error.clone()
            }
            TopicState::Healthy => why.to_owned(),
            TopicState::Suspended { .. } => return,
        };
        topic.state = TopicState::Suspended { error };
        topic.throttled = false;
        self.suspended_count += 1;
    }

    /// From now on its records are parked, and sent from there as fast as its throttle lets them.
    pub(in crate::relay) fn throttle(&mut self, topic: TopicNumber) {
        self.suspend(topic, "more is written than its throttle lets through");
        if let Some(topic) = self.topics.get_mut(topic as usize) {
            topic.throttled = true;
        }
    }

    /// Takes note of what is paused, before a run: those topics are suspended. A topic that no longer is goes on like one
    /// that takes records again.
    pub(in crate::relay) fn pause(&mut self, pauses: &Pauses) {
        for topic in &mut self.topics {
            topic.paused = None;
        }
        for (name, why) in pauses.topics() {
            let number = self.number(name);
            self.suspend(number, why);
            if let Some(topic) = self.topics.get_mut(number as usize) {
                topic.paused = Some(why.to_owned());
            }
        }
    }

    /// Whether somebody has paused it.
    pub(in crate::relay) fn is_paused(&self, topic: TopicNumber) -> bool {
        (self.topics.get(topic as usize)).is_some_and(|topic| topic.paused.is_some())
    }

    /// Why records of a suspended topic are parked; `None` if it is not suspended.
    pub(in crate::relay) fn parked_because(&self, topic: TopicNumber) -> Option<Parked> {
        let topic = self.topics.get(topic as usize)?;
        match (&topic.paused, &topic.state) {
            (Some(why), _) => Some(Parked {
                reason: TOPIC_PAUSED,
                error: why.clone(),
            }),
            (None, TopicState::Suspended { error }) => Some(Parked {
                reason: match topic.throttled {
                    true => TOPIC_THROTTLED,
                    false => TOPIC_UNAVAILABLE,
                },
                error: error.clone(),
            }),
            (None, TopicState::Healthy | TopicState::Suspect(_)) => None,
        }
    }

    /// Its records are handed over again as they are read.
    pub(in crate::relay) fn recover(&mut self, topic: TopicNumber) {
        let Some(topic) = self.topics.get_mut(topic as usize) else {
            return;
        };
        match topic.state {
            TopicState::Suspect(_) => self.suspect_count -= 1,
            TopicState::Suspended { .. } => self.suspended_count -= 1,
            TopicState::Healthy => {}
        }
        topic.state = TopicState::Healthy;
    }
}
