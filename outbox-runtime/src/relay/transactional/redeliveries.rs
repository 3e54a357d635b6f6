//! Which redeliveries there are, and whose turn it is: one for the replays, and one for each topic with records that
//! wait in the dead letters.

use std::time::Duration;

use tokio::time::Instant;

use super::redelivery::{Question, ReadFrom, Redelivery, Step};
use crate::relay::backoff::Backoff;
use crate::relay::blocking::Blocking;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::{REPLAY_POLL_INTERVAL, TOPIC_UNAVAILABLE};
use crate::relay::topic_health::TopicNumber;
use crate::store::{DeadLetterPage, Parked, Pauses, Released};

/// The redeliveries.
pub(in crate::relay) struct Redeliveries {
    all: Vec<Redelivery>,
    blocking: Blocking,
    next_number: TopicNumber,
    backoff: Backoff,
    /// Pages and redeliveries take turns.
    page_first: bool,
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
            all: vec![Redelivery::of_replays(Instant::now(), backoff.fresh())],
            blocking: Blocking::new(&config.block),
            next_number: 0,
            backoff,
            page_first: false,
        };
        // In blocking topics only the affected keys wait; the topic is not suspended.
        for topic in parked {
            if !redeliveries.blocks(topic) {
                let why = "records of it wait since an earlier relay suspended it";
                redeliveries
                    .of_topic(topic)
                    .suspend(why.to_owned(), false, Instant::now());
            }
        }
        for topic in topics_with_dead_letters {
            redeliveries.have_dead_letters(topic);
        }
        for (topic, why) in pauses.topics() {
            redeliveries.of_topic(topic).pause(why);
        }
        redeliveries
    }

    /// The redelivery of a topic, which is added if there is none.
    fn of_topic(&mut self, topic: &str) -> &mut Redelivery {
        let known = self.all.iter().position(|redelivery| redelivery.is_of(topic));
        let index = known.unwrap_or_else(|| {
            let (number, now, backoff) = (self.next_number, Instant::now(), self.backoff.fresh());
            self.next_number += 1;
            self.all.push(match self.blocking.covers(topic) {
                true => Redelivery::by_key(topic, number, now, backoff),
                false => Redelivery::by_position(topic, number, now, backoff),
            });
            self.all.len() - 1
        });
        &mut self.all[index]
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
        if self.blocks(topic) {
            self.of_topic(topic);
        }
    }

    /// Whether keys may wait behind dead records.
    pub(super) fn keys_may_wait(&self) -> bool {
        self.all.iter().any(Redelivery::is_by_key)
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
            "the topic does not accept records while others do; it is suspended, and its records wait in \
             the dead letters"
        );
        self.of_topic(topic).suspend(error, false, Instant::now());
    }

    /// More is written for a topic than its throttle lets through: its records are parked, and sent from there.
    pub(in crate::relay) fn throttle(&mut self, topic: &str) {
        tracing::info!(
            event = "topic_throttled",
            topic,
            "the topic exceeds its throttle; its records wait in the dead letters"
        );
        let why = "more is written than its throttle lets through";
        self.of_topic(topic).suspend(why.to_owned(), true, Instant::now());
    }

    /// The number of a topic that is suspended.
    pub(in crate::relay) fn suspended(&self, topic: &str) -> Option<TopicNumber> {
        let mut suspended = self.all.iter().filter(|known| known.is_suspended());
        suspended.find(|known| known.is_of(topic))?.number()
    }

    /// How many topics are suspended.
    pub(super) fn suspended_count(&self) -> usize {
        self.all.iter().filter(|known| known.is_suspended()).count()
    }

    /// Why its records are parked.
    pub(in crate::relay) fn why(&self, topic: TopicNumber) -> Parked {
        let found = self.all.iter().find(|known| known.number() == Some(topic));
        found.map_or_else(
            || Parked {
                reason: TOPIC_UNAVAILABLE,
                error: String::new(),
            },
            Redelivery::parked_because,
        )
    }

    /// The redelivery that is due, if the pages do not come first.
    pub(super) fn due(&self, pages_wait: bool) -> Option<usize> {
        if self.page_first && pages_wait {
            return None;
        }
        let now = Instant::now();
        let due = |redelivery: &Redelivery| redelivery.due(now).is_some_and(|due| due <= now);
        self.all.iter().position(due)
    }

    /// When a redelivery is due that is not now.
    pub(super) fn next_due(&self) -> Instant {
        let now = Instant::now();
        let all = self.all.iter().filter_map(|redelivery| redelivery.due(now));
        all.filter(|due| *due > now)
            .min()
            .unwrap_or(now + REPLAY_POLL_INTERVAL)
    }

    /// Whether each redelivery was tried, and has nothing to do now.
    pub(super) fn are_done(&self) -> bool {
        let now = Instant::now();
        let rests = |redelivery: &Redelivery| redelivery.due(now).is_none_or(|due| due > now);
        self.all
            .iter()
            .all(|redelivery| redelivery.is_idle() && rests(redelivery))
    }

    /// The topic of a redelivery; `None` for replays.
    pub(super) fn topic(&self, index: usize) -> Option<&str> {
        self.all[index].topic()
    }

    /// The throttle lets nothing of a redelivery through before.
    pub(super) fn wait_for_throttle(&mut self, index: usize, until: Instant) {
        self.all[index].wait_for_throttle(until);
    }

    pub(super) fn had_its_turn(&mut self) {
        self.page_first = true;
    }

    pub(super) fn page_had_its_turn(&mut self) {
        self.page_first = false;
    }

    /// What a redelivery needs now.
    pub(super) fn step(&self, index: usize) -> Step {
        self.all[index].step(Instant::now())
    }

    /// Takes note that rows of a redelivery are read, and returns which.
    pub(super) fn read(&mut self, index: usize, from: ReadFrom) -> Question {
        let topics = self.all.iter().filter_map(Redelivery::topic);
        let topics = topics.map(str::to_owned).collect();
        self.all[index].read(from, topics)
    }

    /// A page by position is here.
    pub(super) fn page(&mut self, index: usize, page: &DeadLetterPage) {
        self.all[index].page(page);
    }

    /// A page by key is here.
    pub(super) fn released(&mut self, index: usize, page: &Released) {
        let rest_until = Instant::now() + self.look_again();
        self.all[index].released(page, rest_until);
    }

    /// Whether these are replays, which no topic waits for.
    pub(super) fn are_replays(&self, index: usize) -> bool {
        self.all[index].topic().is_none()
    }

    /// Whether what is behind a record that fails stays behind it.
    pub(super) fn keeps_order_of_keys(&self, index: usize) -> bool {
        self.all[index].is_by_key()
    }

    /// All that was read of a redelivery went through, or failed for good.
    pub(super) fn went_through(&mut self, index: usize, records: usize) {
        self.all[index].went_through(records);
    }

    /// A redelivery's records do not go through now: again, later.
    pub(super) fn failed(&mut self, index: usize) {
        self.all[index].failed(Instant::now());
    }

    /// Its records were refused together: each is tried alone.
    pub(super) fn distrust(&mut self, index: usize) {
        self.all[index].distrust(Instant::now());
    }

    /// Nothing of a redelivery waits any more.
    pub(super) fn finish(&mut self, index: usize) {
        let look_again = self.look_again();
        if self.all[index].finish(Instant::now(), look_again) {
            drop(self.all.remove(index));
        }
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        REPLAY_POLL_INTERVAL * many.clamp(1, 20)
    }
}
