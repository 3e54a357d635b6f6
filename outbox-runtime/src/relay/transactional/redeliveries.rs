//! Who sends what out of the dead letters, and when: a redelivery for the replays, and one for each topic with records that
//! wait there.

use std::time::Duration;

use tokio::time::Instant;

use crate::relay::backoff::Backoff;
use crate::relay::blocking::Blocking;
use crate::relay::config::RelayConfig;
use crate::relay::dead_letters::key_redelivery::{self, KeyRedelivery};
use crate::relay::dead_letters::page_redelivery::{self, PageRedelivery, RedeliveryContext};
use crate::relay::dead_letters::parking::RedeliveryKind;
use crate::relay::dead_letters::{REPLAY_POLL_INTERVAL, TOPIC_PAUSED, TOPIC_UNAVAILABLE};
use crate::relay::topic_health::TopicNumber;
use crate::store::TOPIC_THROTTLED;
use crate::store::{DeadLetterPage, Parked, Pauses, Released, Waiting};

/// Between two transactions nothing is in flight, and what was delivered is out of the dead letters.
const BETWEEN_TRANSACTIONS: RedeliveryContext = RedeliveryContext {
    in_flight: 0,
    clean: true,
    batches: 0,
    waiting: false,
};

/// The redeliveries.
pub(in crate::relay) struct Redeliveries {
    all: Vec<Redelivery>,
    blocking: Blocking,
    next_number: TopicNumber,
    backoff: Backoff,
    /// Pages and redeliveries take turns.
    page_first: bool,
}

/// What leaves the dead letters for one reason.
struct Redelivery {
    /// The topic whose records these are; `None` for replays.
    topic: Option<TopicRedelivery>,
    scan: Scan,
    /// The throttle lets nothing through before.
    throttled_until: Option<Instant>,
}

struct TopicRedelivery {
    name: String,
    number: TopicNumber,
    /// Why the topic takes no records, if it is suspended.
    suspended: Option<String>,
    /// Somebody has paused it: nothing of it is sent.
    paused: bool,
    /// It is suspended because it is throttled, and takes records.
    throttled: bool,
}

/// How its rows are gone through.
enum Scan {
    ByPosition(PageRedelivery),
    /// Where keys wait behind their dead records.
    ByKey(KeyRedelivery),
}

/// What a redelivery needs.
pub(super) enum Step {
    /// Nothing for now.
    Wait,
    /// Its topic has to be asked for, and then [`Redeliveries::read_first`].
    Prepare(String),
    /// These rows.
    Read(Question),
    /// Nothing waits any more: [`Redeliveries::finish`].
    Finish,
}

/// Rows of the dead letters; of those that were refused before, a single one.
pub(super) enum Question {
    Waiting {
        which: Waiting,
        single: bool,
    },
    Released {
        topic: String,
        from: Option<String>,
        single: bool,
    },
}

impl Redelivery {
    fn is_of(&self, topic: &str) -> bool {
        self.topic.as_ref().is_some_and(|known| known.name == topic)
    }

    fn is_suspended(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.suspended.is_some())
    }

    fn is_paused(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.paused)
    }

    fn is_by_key(&self) -> bool {
        matches!(self.scan, Scan::ByKey(_))
    }

    /// When it has something to do; `None` if that is not known.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.is_paused() {
            return None;
        }
        if let Some(until) = self.throttled_until.filter(|until| now < *until) {
            return Some(until);
        }
        match &self.scan {
            Scan::ByPosition(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                page_redelivery::Step::Wait(until) => until,
                page_redelivery::Step::Prepare
                | page_redelivery::Step::Read { .. }
                | page_redelivery::Step::Send
                | page_redelivery::Step::Finish => Some(now),
            },
            Scan::ByKey(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                key_redelivery::Step::Wait(until) => until,
                key_redelivery::Step::Prepare
                | key_redelivery::Step::Read(_)
                | key_redelivery::Step::Finish => Some(now),
            },
        }
    }

    fn is_idle(&self) -> bool {
        if self.is_paused() {
            return true;
        }
        match &self.scan {
            Scan::ByPosition(scan) => scan.is_idle(),
            Scan::ByKey(scan) => scan.is_idle(),
        }
    }

    fn failed(&mut self, now: Instant) {
        match &mut self.scan {
            Scan::ByPosition(scan) => scan.failed(now),
            Scan::ByKey(scan) => scan.failed(now),
        }
    }

    fn distrust(&mut self, now: Instant) {
        match &mut self.scan {
            Scan::ByPosition(scan) => scan.distrust(now),
            Scan::ByKey(scan) => scan.distrust(now),
        }
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
        let replays = PageRedelivery::new(RedeliveryKind::Replay, Instant::now(), backoff.fresh());
        let mut redeliveries = Self {
            all: vec![Redelivery {
                topic: None,
                scan: Scan::ByPosition(replays),
                throttled_until: None,
            }],
            blocking: Blocking::new(&config.block),
            next_number: 0,
            backoff,
            page_first: false,
        };
        // In blocking topics only the affected keys wait; the topic is not suspended.
        for topic in parked {
            if !redeliveries.blocks(topic) {
                let why = "records of it wait since an earlier relay suspended it";
                redeliveries.open_topic(topic, Some(why.to_owned()));
            }
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
        let known = self
            .all
            .iter_mut()
            .filter_map(|redelivery| redelivery.topic.as_mut());
        for known in known.filter(|known| known.name == topic) {
            (known.suspended, known.paused) = (Some(why.to_owned()), true);
        }
    }

    fn open_topic(&mut self, topic: &str, suspended: Option<String>) {
        let (number, now, backoff) = (self.next_number, Instant::now(), self.backoff.fresh());
        let scan = match self.blocks(topic) {
            true => {
                let mut scan = KeyRedelivery::new(number, now, backoff);
                scan.is_suspended(suspended.is_some());
                Scan::ByKey(scan)
            }
            false => Scan::ByPosition(PageRedelivery::new(RedeliveryKind::Parked(number), now, backoff)),
        };
        let topic = TopicRedelivery {
            name: topic.to_owned(),
            number,
            suspended,
            paused: false,
            throttled: false,
        };
        self.all.push(Redelivery {
            topic: Some(topic),
            scan,
            throttled_until: None,
        });
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
            "the topic takes no records while others do; it is suspended, and its records wait in the dead letters"
        );
        self.set_aside(topic, error, false);
    }

    /// More is written for a topic than its throttle lets through: its records are parked, and sent from there.
    pub(in crate::relay) fn throttle(&mut self, topic: &str) {
        tracing::info!(
            event = "topic_throttled",
            topic,
            "more is written for the topic than its throttle lets through; its records wait in the dead letters"
        );
        let why = "more is written than its throttle lets through";
        self.set_aside(topic, why.to_owned(), true);
    }

    fn set_aside(&mut self, topic: &str, why: String, throttled: bool) {
        if !self.all.iter().any(|redelivery| redelivery.is_of(topic)) {
            self.open_topic(topic, None);
        }
        let Some(redelivery) = self.all.iter_mut().find(|redelivery| redelivery.is_of(topic)) else {
            return;
        };
        if let Some(topic) = &mut redelivery.topic {
            (topic.suspended, topic.throttled) = (Some(why), throttled);
        }
        if let Scan::ByKey(scan) = &mut redelivery.scan {
            scan.is_suspended(true);
            scan.start_over(Instant::now());
        }
    }

    fn topics(&self) -> impl Iterator<Item = &TopicRedelivery> {
        self.all.iter().filter_map(|redelivery| redelivery.topic.as_ref())
    }

    /// The number of a topic that is suspended.
    pub(in crate::relay) fn suspended(&self, topic: &str) -> Option<TopicNumber> {
        let found = self
            .topics()
            .find(|known| known.suspended.is_some() && known.name == topic);
        found.map(|topic| topic.number)
    }

    /// How many topics are suspended.
    pub(super) fn suspended_count(&self) -> usize {
        self.topics().filter(|topic| topic.suspended.is_some()).count()
    }

    /// Why its records are parked.
    pub(in crate::relay) fn why(&self, topic: TopicNumber) -> Parked {
        let found = self.topics().find(|known| known.number == topic);
        let reason = match found {
            Some(TopicRedelivery { paused: true, .. }) => TOPIC_PAUSED,
            Some(TopicRedelivery { throttled: true, .. }) => TOPIC_THROTTLED,
            Some(_) | None => TOPIC_UNAVAILABLE,
        };
        let error = found.and_then(|topic| topic.suspended.clone());
        Parked {
            reason,
            error: error.unwrap_or_default(),
        }
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

    /// Whether each redelivery was tried, and has nothing to do at the moment.
    pub(super) fn are_done(&self) -> bool {
        let now = Instant::now();
        let rests = |redelivery: &Redelivery| redelivery.due(now).is_none_or(|due| due > now);
        self.all
            .iter()
            .all(|redelivery| redelivery.is_idle() && rests(redelivery))
    }

    /// The topic of a redelivery; `None` for replays.
    pub(super) fn topic(&self, index: usize) -> Option<&str> {
        self.all[index].topic.as_ref().map(|topic| topic.name.as_str())
    }

    /// The throttle lets nothing of a redelivery through before.
    pub(super) fn wait_for_throttle(&mut self, index: usize, until: Instant) {
        self.all[index].throttled_until = Some(until);
    }

    pub(super) fn had_its_turn(&mut self) {
        self.page_first = true;
    }

    pub(super) fn page_had_its_turn(&mut self) {
        self.page_first = false;
    }

    /// What a redelivery needs now.
    pub(super) fn step(&mut self, index: usize) -> Step {
        let now = Instant::now();
        match &self.all[index].scan {
            Scan::ByPosition(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                page_redelivery::Step::Wait(_) => Step::Wait,
                page_redelivery::Step::Prepare => self.prepare(index),
                page_redelivery::Step::Read { after, single } => {
                    Step::Read(self.read_after(index, after, single))
                }
                // A transaction takes the whole page.
                page_redelivery::Step::Send => Step::Wait,
                page_redelivery::Step::Finish => Step::Finish,
            },
            Scan::ByKey(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                key_redelivery::Step::Wait(_) => Step::Wait,
                key_redelivery::Step::Prepare => self.prepare(index),
                key_redelivery::Step::Read(from) => Step::Read(self.read_from(index, from, false)),
                key_redelivery::Step::Finish => Step::Finish,
            },
        }
    }

    /// Only a topic that is suspended has to be asked for; others are read at once.
    fn prepare(&mut self, index: usize) -> Step {
        match &self.all[index].topic {
            Some(topic) if topic.suspended.is_some() => Step::Prepare(topic.name.clone()),
            Some(_) | None => Step::Read(self.read_first(index)),
        }
    }

    /// The first row of a redelivery, to see whether it is taken.
    pub(super) fn read_first(&mut self, index: usize) -> Question {
        match self.all[index].is_by_key() {
            true => self.read_from(index, None, true),
            false => self.read_after(index, 0, true),
        }
    }

    fn read_after(&mut self, index: usize, after: i64, single: bool) -> Question {
        let which = match &self.all[index].topic {
            Some(topic) => Waiting::ForTopic {
                topic: topic.name.clone(),
                after,
            },
            None => Waiting::ForReplay {
                except: self.topics().map(|topic| topic.name.clone()).collect(),
                after,
            },
        };
        if let Scan::ByPosition(scan) = &mut self.all[index].scan {
            scan.read(after, BETWEEN_TRANSACTIONS);
        }
        Question::Waiting { which, single }
    }

    fn read_from(&mut self, index: usize, from: Option<String>, single: bool) -> Question {
        let redelivery = &mut self.all[index];
        if let Scan::ByKey(scan) = &mut redelivery.scan {
            scan.read(from.as_deref(), BETWEEN_TRANSACTIONS);
        }
        let topic = redelivery.topic.as_ref();
        Question::Released {
            topic: topic.map(|topic| topic.name.clone()).unwrap_or_default(),
            from,
            single,
        }
    }

    /// A page by position is here.
    pub(super) fn page(&mut self, index: usize, page: &DeadLetterPage) {
        if let Scan::ByPosition(scan) = &mut self.all[index].scan {
            scan.page(page.records.len(), page.last_position);
        }
    }

    /// A page by key is here.
    pub(super) fn released(&mut self, index: usize, page: &Released) {
        let look_again = self.look_again();
        let redelivery = &mut self.all[index];
        let suspended = redelivery.is_suspended();
        if let Scan::ByKey(scan) = &mut redelivery.scan {
            scan.page(page);
            if page.records.is_empty() && page.next.is_some() && !suspended {
                // So many keys wait that looking at them takes a while; there is no hurry.
                scan.rest(Instant::now() + look_again);
            }
        }
    }

    /// Whether these are replays, which no topic waits for.
    pub(super) fn are_replays(&self, index: usize) -> bool {
        self.all[index].topic.is_none()
    }

    /// Whether what is behind a record that fails stays behind it.
    pub(super) fn keeps_order_of_keys(&self, index: usize) -> bool {
        self.all[index].is_by_key()
    }

    /// All that was read of a redelivery went through, or failed for good.
    pub(super) fn went_through(&mut self, index: usize, records: usize) {
        match &mut self.all[index].scan {
            Scan::ByPosition(scan) => scan.advance(records),
            // It goes on where its page ended, and begins again after a scan that found something.
            Scan::ByKey(_) => {}
        }
    }

    /// A redelivery's records do not go through now: again, later.
    pub(super) fn failed(&mut self, index: usize) {
        self.all[index].failed(Instant::now());
    }

    /// Its records were refused together: each is tried alone.
    pub(super) fn distrust(&mut self, index: usize) {
        self.all[index].distrust(Instant::now());
    }

    /// Nothing of a redelivery waits any more. A topic that was suspended takes records again.
    pub(super) fn finish(&mut self, index: usize) {
        let look_again = self.look_again();
        let redelivery = &mut self.all[index];
        if let Some(topic) = &mut redelivery.topic
            && topic.suspended.take().is_some()
        {
            topic.throttled = false;
            tracing::info!(
                event = "topic_resumed",
                topic = topic.name,
                "the topic takes records again"
            );
        }
        match &mut redelivery.scan {
            Scan::ByKey(scan) => {
                scan.is_suspended(false);
                scan.finish(Instant::now() + look_again);
            }
            Scan::ByPosition(scan) if redelivery.topic.is_none() => {
                scan.rest(Instant::now() + REPLAY_POLL_INTERVAL);
            }
            Scan::ByPosition(_) => drop(self.all.remove(index)),
        }
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        REPLAY_POLL_INTERVAL * many.clamp(1, 20)
    }
}
