//! One redelivery: what leaves the dead letters for one reason, how far it is, and what it needs next.

use std::time::Duration;

use tokio::time::Instant;

use crate::relay::backoff::Backoff;
use crate::relay::dead_letters::key_redelivery::{self, KeyRedelivery};
use crate::relay::dead_letters::page_redelivery::{self, PageRedelivery, RedeliveryContext};
use crate::relay::dead_letters::parking::RedeliveryKind;
use crate::relay::dead_letters::{REPLAY_POLL_INTERVAL, TOPIC_PAUSED, TOPIC_UNAVAILABLE};
use crate::relay::topic_health::TopicNumber;
use crate::store::{DeadLetterPage, Parked, Released, TOPIC_THROTTLED, Waiting};

/// Between two transactions nothing is in flight, and what was delivered is out of the dead letters.
const BETWEEN_TRANSACTIONS: RedeliveryContext = RedeliveryContext {
    in_flight: 0,
    clean: true,
    batches: 0,
    waiting: false,
};

pub(super) struct Redelivery {
    /// The topic whose records these are; `None` for replays.
    topic: Option<Topic>,
    scan: Scan,
    /// The throttle lets nothing through before.
    throttled_until: Option<Instant>,
}

struct Topic {
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
    /// The broker has to accept its topic, and then its first row is read.
    Prepare(String),
    /// Its rows from here on.
    Read(ReadFrom),
    /// Nothing waits any more.
    Finish,
}

/// Where the rows to read begin.
pub(super) enum ReadFrom {
    /// The first row, to see whether it is taken.
    First,
    Position {
        after: i64,
        /// Only one row: those behind it were refused together before.
        single: bool,
    },
    Key(Option<String>),
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
    /// Of the rows that somebody wants sent again.
    pub(super) fn of_replays(now: Instant, backoff: Backoff) -> Self {
        Self {
            topic: None,
            scan: Scan::ByPosition(PageRedelivery::new(RedeliveryKind::Replay, now, backoff)),
            throttled_until: None,
        }
    }

    /// Of a topic in which only keys wait.
    pub(super) fn by_key(name: &str, number: TopicNumber, now: Instant, backoff: Backoff) -> Self {
        Self::of_topic(
            name,
            number,
            Scan::ByKey(KeyRedelivery::new(number, now, backoff)),
        )
    }

    /// Of a topic whose records all wait.
    pub(super) fn by_position(name: &str, number: TopicNumber, now: Instant, backoff: Backoff) -> Self {
        let scan = PageRedelivery::new(RedeliveryKind::Parked(number), now, backoff);
        Self::of_topic(name, number, Scan::ByPosition(scan))
    }

    fn of_topic(name: &str, number: TopicNumber, scan: Scan) -> Self {
        Self {
            topic: Some(Topic {
                name: name.to_owned(),
                number,
                suspended: None,
                paused: false,
                throttled: false,
            }),
            scan,
            throttled_until: None,
        }
    }

    pub(super) fn is_of(&self, topic: &str) -> bool {
        self.topic() == Some(topic)
    }

    /// The topic; `None` for replays.
    pub(super) fn topic(&self) -> Option<&str> {
        self.topic.as_ref().map(|topic| topic.name.as_str())
    }

    pub(super) fn number(&self) -> Option<TopicNumber> {
        self.topic.as_ref().map(|topic| topic.number)
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.suspended.is_some())
    }

    fn is_paused(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.paused)
    }

    /// Whether keys wait behind their dead records.
    pub(super) fn is_by_key(&self) -> bool {
        matches!(self.scan, Scan::ByKey(_))
    }

    /// Why the topic's records are parked.
    pub(super) fn parked_because(&self) -> Parked {
        let reason = match &self.topic {
            Some(Topic { paused: true, .. }) => TOPIC_PAUSED,
            Some(Topic { throttled: true, .. }) => TOPIC_THROTTLED,
            Some(_) | None => TOPIC_UNAVAILABLE,
        };
        let error = self.topic.as_ref().and_then(|topic| topic.suspended.clone());
        Parked {
            reason,
            error: error.unwrap_or_default(),
        }
    }

    /// The topic's records are parked, and stay so.
    pub(super) fn pause(&mut self, why: &str) {
        if let Some(topic) = &mut self.topic {
            (topic.suspended, topic.paused) = (Some(why.to_owned()), true);
        }
    }

    /// From now on the topic's records are parked.
    pub(super) fn suspend(&mut self, why: String, throttled: bool, now: Instant) {
        if let Some(topic) = &mut self.topic {
            (topic.suspended, topic.throttled) = (Some(why), throttled);
        }
        if let Scan::ByKey(scan) = &mut self.scan {
            scan.is_suspended(true);
            scan.start_over(now);
        }
    }

    /// When it has something to do; `None` if that is not known.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
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

    pub(super) fn is_idle(&self) -> bool {
        if self.is_paused() {
            return true;
        }
        match &self.scan {
            Scan::ByPosition(scan) => scan.is_idle(),
            Scan::ByKey(scan) => scan.is_idle(),
        }
    }

    /// What it needs now.
    pub(super) fn step(&self, now: Instant) -> Step {
        match &self.scan {
            Scan::ByPosition(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                page_redelivery::Step::Wait(_) => Step::Wait,
                page_redelivery::Step::Prepare => self.prepare(),
                page_redelivery::Step::Read { after, single } => {
                    Step::Read(ReadFrom::Position { after, single })
                }
                // A transaction takes the whole page.
                page_redelivery::Step::Send => Step::Wait,
                page_redelivery::Step::Finish => Step::Finish,
            },
            Scan::ByKey(scan) => match scan.step(now, BETWEEN_TRANSACTIONS) {
                key_redelivery::Step::Wait(_) => Step::Wait,
                key_redelivery::Step::Prepare => self.prepare(),
                key_redelivery::Step::Read(from) => Step::Read(ReadFrom::Key(from)),
                key_redelivery::Step::Finish => Step::Finish,
            },
        }
    }

    /// Only a topic that is suspended has to be asked for; others are read at once.
    fn prepare(&self) -> Step {
        match &self.topic {
            Some(topic) if topic.suspended.is_some() => Step::Prepare(topic.name.clone()),
            Some(_) | None => Step::Read(ReadFrom::First),
        }
    }

    /// Takes note that rows are read. `topics` are all that have redeliveries of their own.
    pub(super) fn read(&mut self, from: ReadFrom, topics: Vec<String>) -> Question {
        match &mut self.scan {
            Scan::ByPosition(scan) => {
                let (after, single) = match from {
                    ReadFrom::First | ReadFrom::Key(_) => (0, true),
                    ReadFrom::Position { after, single } => (after, single),
                };
                scan.read(after, BETWEEN_TRANSACTIONS);
                let which = match &self.topic {
                    Some(topic) => Waiting::ForTopic {
                        topic: topic.name.clone(),
                        after,
                    },
                    None => Waiting::ForReplay {
                        except: topics,
                        after,
                    },
                };
                Question::Waiting { which, single }
            }
            Scan::ByKey(scan) => {
                let (from, single) = match from {
                    ReadFrom::First | ReadFrom::Position { .. } => (None, true),
                    ReadFrom::Key(from) => (from, false),
                };
                scan.read(from.as_deref(), BETWEEN_TRANSACTIONS);
                Question::Released {
                    topic: self.topic().unwrap_or_default().to_owned(),
                    from,
                    single,
                }
            }
        }
    }

    /// A page by position is here.
    pub(super) fn page(&mut self, page: &DeadLetterPage) {
        if let Scan::ByPosition(scan) = &mut self.scan {
            scan.page(page.records.len(), page.last_position);
        }
    }

    /// A page by key is here.
    pub(super) fn released(&mut self, page: &Released, rest_until: Instant) {
        let suspended = self.is_suspended();
        if let Scan::ByKey(scan) = &mut self.scan {
            scan.page(page);
            if page.records.is_empty() && page.next.is_some() && !suspended {
                // So many keys wait that looking at them takes a while; there is no hurry.
                scan.rest(rest_until);
            }
        }
    }

    /// All that was read went through, or failed for good.
    pub(super) fn went_through(&mut self, records: usize) {
        match &mut self.scan {
            Scan::ByPosition(scan) => scan.advance(records),
            // It goes on where its page ended, and begins again after a scan that found something.
            Scan::ByKey(_) => {}
        }
    }

    /// Its records do not go through now: again, later.
    pub(super) fn failed(&mut self, now: Instant) {
        match &mut self.scan {
            Scan::ByPosition(scan) => scan.failed(now),
            Scan::ByKey(scan) => scan.failed(now),
        }
    }

    /// Its records were refused together: each is tried alone.
    pub(super) fn distrust(&mut self, now: Instant) {
        match &mut self.scan {
            Scan::ByPosition(scan) => scan.distrust(now),
            Scan::ByKey(scan) => scan.distrust(now),
        }
    }

    /// The throttle lets nothing through before.
    pub(super) fn wait_for_throttle(&mut self, until: Instant) {
        self.throttled_until = Some(until);
    }

    /// Nothing waits any more. A topic that was suspended takes records again. Returns whether the redelivery is over
    /// for good; else it looks again after `pause`.
    pub(super) fn finish(&mut self, now: Instant, pause: Duration) -> bool {
        if let Some(topic) = &mut self.topic
            && topic.suspended.take().is_some()
        {
            topic.throttled = false;
            tracing::info!(
                event = "topic_resumed",
                topic = topic.name,
                "the topic accepts records again"
            );
        }
        match &mut self.scan {
            Scan::ByKey(scan) => {
                scan.is_suspended(false);
                scan.finish(now + pause);
                false
            }
            Scan::ByPosition(scan) if self.topic.is_none() => {
                scan.rest(now + REPLAY_POLL_INTERVAL);
                false
            }
            Scan::ByPosition(_) => true,
        }
    }
}
