//! Sends what waits in the dead letters: records whose topic takes them again, and those that somebody wants sent
//! again. The same task hands the log's records over, so neither can overtake the other.

use std::time::Duration;

use tokio::time::Instant;

use super::Goal;
use super::delivery::TOPIC_UNAVAILABLE;
use super::feed::Request;
use super::lane::{Around, Lane, Step};
use super::parking::Errand;
use super::pass::{End, Pass};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::store::{DeadLetterPage, PageLimit, Store, Waiting};

/// How often is looked for records that somebody wants sent again.
pub(super) const LOOK_FOR_REPLAYS: Duration = Duration::from_millis(500);

/// What a page of dead letters may hold.
pub(super) const PAGE: PageLimit = PageLimit {
    rows: 1_000,
    bytes: 2 << 20,
};

/// Steps of one lane before others have their turn.
const BURST: usize = 512;

impl<S: Store, P: Publisher> Pass<'_, S, P> {
    /// Does for each lane what can be done now.
    pub(super) async fn tend_lanes(&mut self) -> Result<(), End> {
        self.open_lanes();
        for errand in std::mem::take(&mut self.delivery.failed_errands) {
            if let Errand::Parked(topic) = errand {
                self.round_failed(topic);
            }
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.errand == errand) {
                lane.failed(Instant::now());
            }
        }
        let mut index = 0;
        while index < self.lanes.len() {
            match self.tend(index).await? {
                Tended::Open => index += 1,
                Tended::Finished => drop(self.lanes.swap_remove(index)),
            }
        }
        Ok(())
    }

    /// A lane for the replays, and one for each topic that is set aside. Topics that block have rounds instead.
    fn open_lanes(&mut self) {
        if self.goal == Goal::CatchUp {
            return;
        }
        let topics = &self.delivery.topics;
        let aside = topics.aside().filter(|topic| !topics.blocks(*topic));
        let errands = aside.map(Errand::Parked).collect::<Vec<_>>().into_iter();
        for errand in errands.chain([Errand::Replay]) {
            if !self.lanes.iter().any(|lane| lane.errand == errand) {
                let backoff = self.backoff.fresh();
                self.lanes.push(Lane::new(errand, Instant::now(), backoff));
            }
        }
    }

    /// When a lane has something to do that nobody else tells.
    pub(super) fn next_errand(&self) -> Instant {
        let now = Instant::now();
        let waits = self
            .lanes
            .iter()
            .filter_map(|lane| match lane.step(now, self.around(lane)) {
                Step::Wait(until) => until,
                Step::Prepare | Step::Read { .. } | Step::Finish => Some(now),
                Step::Send => None,
            });
        waits.min().unwrap_or(now + LOOK_FOR_REPLAYS)
    }

    /// Whether there is something to send out of the dead letters without waiting.
    pub(super) fn has_errands(&self) -> bool {
        let now = Instant::now();
        self.lanes.iter().any(|lane| {
            lane.step(now, self.around(lane)) == Step::Send
                && current(lane).is_some_and(|record| self.delivery.has_room_for(lane.errand, &record))
        })
    }

    /// Whether each lane was tried, and has nothing to do at the moment.
    pub(super) fn errands_are_done(&self) -> bool {
        let lanes_are_done = self.lanes.iter().all(|lane| {
            let unanswered = lane.is_probing()
                && self.delivery.parking.afloat(lane.errand) > 0
                && lane.changed.elapsed() > self.config.set_aside_after;
            lane.is_idle() || unanswered
        });
        lanes_are_done && self.rounds_are_done()
    }

    fn around(&self, lane: &Lane) -> Around {
        let parking = &self.delivery.parking;
        let (batches, waiting) = match lane.errand {
            Errand::Parked(topic) => parking.batches(topic),
            Errand::Replay => (0, false),
        };
        Around {
            afloat: parking.afloat(lane.errand),
            clean: parking.is_clean_of(lane.errand) && self.delivery.unconfirmed.is_empty(),
            batches,
            waiting,
        }
    }

    async fn tend(&mut self, index: usize) -> Result<Tended, End> {
        for _ in 0..BURST {
            let around = self.around(&self.lanes[index]);
            let errand = self.lanes[index].errand;
            match (self.lanes[index].step(Instant::now(), around), errand) {
                (Step::Wait(_), _) => break,
                (Step::Prepare, Errand::Parked(topic)) => {
                    let topic = self.delivery.topics.name(topic).to_owned();
                    match self.prepare(&topic).await? {
                        Ok(()) => self.read(index, 0, true, around),
                        Err(error) => self.postpone(index, &error),
                    }
                }
                (Step::Prepare, Errand::Replay) => self.read(index, 0, false, around),
                (Step::Read { after, single }, _) => self.read(index, after, single, around),
                (Step::Finish, Errand::Parked(topic)) => {
                    tracing::info!(
                        topic = self.delivery.topics.name(topic),
                        "the topic takes records again"
                    );
                    self.delivery.topics.trust(topic);
                    return Ok(Tended::Finished);
                }
                (Step::Finish, Errand::Replay) => self.lanes[index].rest(Instant::now() + LOOK_FOR_REPLAYS),
                (Step::Send, _) => {
                    if !self.send(index).await? {
                        break;
                    }
                }
            }
        }
        Ok(Tended::Open)
    }

    fn read(&mut self, index: usize, after: i64, single: bool, around: Around) {
        let lane = &mut self.lanes[index];
        lane.read(after, around);
        let which = match lane.errand {
            Errand::Parked(topic) => Waiting::ForTopic {
                topic: self.delivery.topics.name(topic).to_owned(),
                after,
            },
            Errand::Replay => {
                let topics = &self.delivery.topics;
                let except = topics.aside().chain(self.delivery.keys.lettered());
                Waiting::ForReplay {
                    except: except.map(|topic| topics.name(topic).to_owned()).collect(),
                    after,
                }
            }
        };
        let limit = match single {
            true => PageLimit { rows: 1, ..PAGE },
            false => PAGE,
        };
        self.feed.ask(Request::DeadLetters {
            errand: lane.errand,
            which,
            limit,
        });
    }

    /// A page that was asked for is here.
    pub(super) fn errand_page(&mut self, errand: Errand, page: DeadLetterPage) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.errand == errand) {
            lane.page(page);
        }
    }

    /// Sends the next record of a lane. `false` if it has to wait.
    async fn send(&mut self, index: usize) -> Result<bool, End> {
        let lane = &self.lanes[index];
        let Some(record) = current(lane) else {
            return Ok(false);
        };
        if !self.delivery.has_room_for(lane.errand, &record) {
            return Ok(false);
        }
        let (errand, row) = (lane.errand, (record.seq, record.id));
        if errand == Errand::Replay && self.delivery.topics.blocking().covers(record.topic) {
            // Its round sends it.
            self.lanes[index].advance();
            return Ok(true);
        }
        let Err(mut error) = self.delivery.send_errand(errand, &record) else {
            self.lanes[index].advance();
            return Ok(true);
        };
        if error.kind() == PublishErrorKind::Unprepared {
            let topic = record.topic.to_owned();
            match self.prepare(&topic).await? {
                Ok(()) => return Ok(true),
                Err(unprepared) => error = unprepared,
            }
        }
        let reason = match (error.kind(), errand) {
            (PublishErrorKind::Record(reason), _) => reason,
            (PublishErrorKind::Topic, Errand::Replay) => TOPIC_UNAVAILABLE,
            (PublishErrorKind::Full, _) => return Ok(false),
            (PublishErrorKind::Fatal | PublishErrorKind::Configuration, _) => {
                return Err(End::Refused(error));
            }
            _ => {
                self.postpone(index, &error);
                return Ok(false);
            }
        };
        self.delivery.fail_again(row, reason, &error, &self.feed);
        self.lanes[index].advance();
        Ok(true)
    }

    fn postpone(&mut self, index: usize, error: &PublishError) {
        tracing::debug!(%error, "what waits in the dead letters waits on");
        self.lanes[index].failed(Instant::now());
    }
}

enum Tended {
    Open,
    Finished,
}

fn current(lane: &Lane) -> Option<crate::record::OutboxRecord<'_>> {
    let (page, next) = lane.current()?;
    page.records.get(next)
}
