//! Who sends what out of the dead letters, and when: a lane for the replays, and one for each topic with records that
//! wait there.

use std::time::Duration;

use tokio::time::Instant;

use crate::relay::RelayConfig;
use crate::relay::backoff::Backoff;
use crate::relay::errands::LOOK_FOR_REPLAYS;
use crate::relay::on_dead::Blocking;
use crate::relay::topics::TopicNumber;

/// The lanes.
pub(super) struct Lanes {
    all: Vec<Lane>,
    blocking: Blocking,
    next_number: TopicNumber,
    backoff: Backoff,
    /// Pages and errands take turns.
    page_first: bool,
}

pub(super) struct Lane {
    /// The topic whose records these are; `None` for replays.
    pub(super) topic: Option<TopicLane>,
    pub(super) due: Instant,
    backoff: Backoff,
    /// Nothing came of it since the session began, or something did: it was tried.
    pub(super) tried: bool,
    /// A record of it went through. Until then, one at a time is tried.
    pub(super) trusted: bool,
}

pub(super) struct TopicLane {
    pub(super) name: String,
    pub(super) number: TopicNumber,
    /// Why the topic takes no records, if it is set aside.
    aside: Option<String>,
    /// Its keys wait behind their dead records, and are gone through in rounds.
    pub(super) blocks: bool,
    /// The key that the round goes on with; `None` at its beginning.
    pub(super) next: Option<String>,
}

impl TopicLane {
    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }
}

impl Lane {
    fn new(topic: Option<TopicLane>, backoff: Backoff) -> Self {
        Self {
            trusted: topic.as_ref().is_none_or(|topic| !topic.is_aside()),
            topic,
            due: Instant::now(),
            backoff,
            tried: false,
        }
    }

    fn is_of(&self, topic: &str) -> bool {
        self.topic.as_ref().is_some_and(|known| known.name == topic)
    }

    /// It may be that nothing of it goes through now.
    pub(super) fn postpone(&mut self) {
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

impl Lanes {
    /// Records of the topics `parked` wait since an earlier session, and there are dead letters of those `lettered`.
    pub(super) fn new(config: &RelayConfig, parked: &[String], lettered: &[String]) -> Self {
        let backoff = Backoff::new(config);
        let mut lanes = Self {
            all: vec![Lane::new(None, backoff.fresh())],
            blocking: Blocking::new(&config.block),
            next_number: 0,
            backoff,
            page_first: false,
        };
        // Where keys wait for themselves, the others of the topic need not.
        for topic in parked
            .iter()
            .filter(|topic| !lanes.blocks(topic))
            .collect::<Vec<_>>()
        {
            let why = "records of it wait since an earlier relay set it aside";
            lanes.open_lane(topic, Some(why.to_owned()));
        }
        for topic in lettered {
            lanes.have_letters(topic);
        }
        lanes
    }

    fn open_lane(&mut self, topic: &str, aside: Option<String>) {
        let topic = TopicLane {
            name: topic.to_owned(),
            number: self.next_number,
            aside,
            blocks: self.blocks(topic),
            next: None,
        };
        self.all.push(Lane::new(Some(topic), self.backoff.fresh()));
        self.next_number += 1;
    }

    pub(super) fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Whether the topic's keys wait behind their dead records.
    pub(super) fn blocks(&self, topic: &str) -> bool {
        self.blocking.covers(topic)
    }

    /// There are dead letters of this topic. If it blocks, its keys are looked at from now on.
    pub(super) fn have_letters(&mut self, topic: &str) {
        if self.blocks(topic) && !self.all.iter().any(|lane| lane.is_of(topic)) {
            self.open_lane(topic, None);
        }
    }

    /// Whether keys may wait behind dead records.
    pub(super) fn keys_may_wait(&self) -> bool {
        self.topics().any(|topic| topic.blocks)
    }

    /// From now on a topic's records are parked.
    pub(super) fn set_aside(&mut self, topic: &str, error: String) {
        if self.aside(topic).is_some() {
            return;
        }
        tracing::warn!(
            topic,
            error,
            "the topic takes no records while others do; it is set aside, and its records wait in the dead letters"
        );
        let known = self.all.iter_mut().find(|lane| lane.is_of(topic));
        let Some(lane) = known else {
            return self.open_lane(topic, Some(error));
        };
        (lane.tried, lane.trusted, lane.due) = (false, false, Instant::now());
        if let Some(topic) = &mut lane.topic {
            (topic.aside, topic.next) = (Some(error), None);
        }
    }

    fn topics(&self) -> impl Iterator<Item = &TopicLane> {
        self.all.iter().filter_map(|lane| lane.topic.as_ref())
    }

    /// Topics that have a lane of their own.
    pub(super) fn names(&self) -> Vec<String> {
        self.topics().map(|topic| topic.name.clone()).collect()
    }

    /// The number of a topic that is set aside.
    pub(super) fn aside(&self, topic: &str) -> Option<TopicNumber> {
        let found = self.topics().find(|lane| lane.is_aside() && lane.name == topic);
        found.map(|lane| lane.number)
    }

    /// Why it is.
    pub(super) fn why(&self, topic: TopicNumber) -> String {
        let found = self.topics().find(|lane| lane.number == topic);
        found.and_then(|lane| lane.aside.clone()).unwrap_or_default()
    }

    pub(super) fn lane(&self, index: usize) -> &Lane {
        &self.all[index]
    }

    pub(super) fn lane_mut(&mut self, index: usize) -> &mut Lane {
        &mut self.all[index]
    }

    /// The lane that is due, if the pages do not come first.
    pub(super) fn due(&self, pages_wait: bool) -> Option<usize> {
        if self.page_first && pages_wait {
            return None;
        }
        let now = Instant::now();
        self.all.iter().position(|lane| lane.due <= now)
    }

    /// When a lane is due that is not now.
    pub(super) fn next_due(&self) -> Instant {
        let now = Instant::now();
        let lanes = self.all.iter().map(|lane| lane.due);
        lanes
            .filter(|due| *due > now)
            .min()
            .unwrap_or(now + LOOK_FOR_REPLAYS)
    }

    /// Whether each lane was tried, and has nothing to do at the moment.
    pub(super) fn are_done(&self) -> bool {
        let now = Instant::now();
        self.all
            .iter()
            .all(|lane| lane.tried && (lane.due > now || lane.topic.is_none()))
    }

    pub(super) fn had_its_turn(&mut self) {
        self.page_first = true;
    }

    pub(super) fn page_had_its_turn(&mut self) {
        self.page_first = false;
    }

    /// Nothing of a lane can go at the moment.
    pub(super) fn nothing_waits(&mut self, index: usize) {
        let look_again = self.look_again();
        let lane = &mut self.all[index];
        match &mut lane.topic {
            None => {
                lane.due = Instant::now() + LOOK_FOR_REPLAYS;
                (lane.tried, lane.trusted) = (true, true);
            }
            // So many keys wait that looking at them takes a while. There is no hurry unless all of them wait.
            Some(topic) if topic.blocks && topic.next.is_some() => {
                let pause = if topic.is_aside() {
                    Duration::ZERO
                } else {
                    look_again
                };
                lane.due = Instant::now() + pause;
            }
            Some(topic) if topic.blocks => {
                if topic.aside.take().is_some() {
                    tracing::info!(topic = topic.name, "the topic takes records again");
                }
                lane.due = Instant::now() + look_again;
                (lane.tried, lane.trusted) = (true, true);
            }
            Some(topic) => {
                tracing::info!(topic = topic.name, "the topic takes records again");
                self.all.remove(index);
            }
        }
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        LOOK_FOR_REPLAYS * many.clamp(1, 20)
    }
}
