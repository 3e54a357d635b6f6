//! Sends what waits in the dead letters: records whose topic takes them again, and those that somebody wants sent
//! again. The same task hands the log's records over, so neither can overtake the other.

use tokio::time::Instant;

use super::run::PipelineRun;
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::record::OutboxRecord;
use crate::relay::dead_letters::REPLAY_POLL_INTERVAL;
use crate::relay::dead_letters::TOPIC_UNAVAILABLE;
use crate::relay::dead_letters::page_redelivery::{PageRedelivery, RedeliveryContext, Step};
use crate::relay::dead_letters::parking::RedeliveryKind;
use crate::relay::goal::Goal;
use crate::relay::reader_task::Request;
use crate::relay::run_end::RunEnd;
use crate::relay::topic_health::TopicNumber;
use crate::store::{DeadLetterPage, PageLimit, Waiting};

/// What a page of dead letters may hold.
pub(super) const PAGE: PageLimit = PageLimit {
    rows: 1_000,
    bytes: 2 << 20,
};

/// Steps of one redelivery before others have their turn.
const BURST: usize = 512;

impl<P: Publisher> PipelineRun<'_, P> {
    /// Does for each redelivery what can be done now.
    pub(super) async fn advance_page_redeliveries(&mut self) -> Result<(), RunEnd> {
        self.open_page_redeliveries();
        for kind in std::mem::take(&mut self.delivery.failed_redeliveries) {
            if let RedeliveryKind::Parked(topic) = kind {
                self.key_redelivery_failed(topic);
            }
            if let Some(redelivery) = self
                .page_redeliveries
                .iter_mut()
                .find(|redelivery| redelivery.scan.kind == kind)
            {
                redelivery.scan.failed(Instant::now());
            }
        }
        let mut index = 0;
        while index < self.page_redeliveries.len() {
            match self.tend(index).await? {
                Tended::Open => index += 1,
                Tended::Finished => drop(self.page_redeliveries.swap_remove(index)),
            }
        }
        Ok(())
    }

    /// A redelivery for the replays, and one for each topic that is suspended and not paused. Topics that block are
    /// redelivered by key.
    fn open_page_redeliveries(&mut self) {
        if self.goal == Goal::CatchUp {
            return;
        }
        let topics = &self.delivery.topics;
        let goes_on = |topic: &TopicNumber| !topics.blocks(*topic) && !topics.is_paused(*topic);
        let suspended = topics.suspended().filter(goes_on);
        let kinds = suspended
            .map(RedeliveryKind::Parked)
            .collect::<Vec<_>>()
            .into_iter();
        for kind in kinds.chain([RedeliveryKind::Replay]) {
            if !self
                .page_redeliveries
                .iter()
                .any(|redelivery| redelivery.scan.kind == kind)
            {
                let backoff = self.backoff.fresh();
                self.page_redeliveries.push(OpenRedelivery {
                    scan: PageRedelivery::new(kind, Instant::now(), backoff),
                    page: DeadLetterPage::default(),
                });
            }
        }
    }

    /// When a redelivery has something to do without an event that announces it.
    pub(in crate::relay) fn next_redelivery(&self) -> Instant {
        let now = Instant::now();
        let waits = self.page_redeliveries.iter().filter_map(|redelivery| {
            match redelivery.scan.step(now, self.context(&redelivery.scan)) {
                Step::Wait(until) => until,
                Step::Prepare | Step::Read { .. } | Step::Finish => Some(now),
                Step::Send => None,
            }
        });
        waits.min().unwrap_or(now + REPLAY_POLL_INTERVAL)
    }

    /// Whether there is something to send out of the dead letters without waiting.
    pub(super) fn has_redeliveries(&mut self) -> bool {
        let now = Instant::now();
        let steps = self.page_redeliveries.iter();
        let steps: Vec<Step> = steps
            .map(|redelivery| redelivery.scan.step(now, self.context(&redelivery.scan)))
            .collect();
        let delivery = &mut *self.delivery;
        let mut sending = (self.page_redeliveries.iter().zip(steps)).filter(|(_, step)| *step == Step::Send);
        sending.any(|(redelivery, _)| {
            let record = redelivery.current();
            record.is_some_and(|record| delivery.has_room_for(redelivery.scan.kind, &record))
        })
    }

    /// Whether each redelivery was tried, and has nothing to do now.
    pub(super) fn redeliveries_are_done(&self) -> bool {
        let scans = self.page_redeliveries.iter().map(|redelivery| &redelivery.scan);
        let pages_are_done = scans.into_iter().all(|redelivery| {
            let unanswered = redelivery.is_probing()
                && self.delivery.parking.in_flight(redelivery.kind) > 0
                && redelivery.changed.elapsed() > self.config.suspend_after;
            redelivery.is_idle() || unanswered
        });
        pages_are_done && self.key_redeliveries_are_done()
    }

    fn context(&self, redelivery: &PageRedelivery) -> RedeliveryContext {
        let parking = &self.delivery.parking;
        let (batches, waiting) = match redelivery.kind {
            RedeliveryKind::Parked(topic) => parking.batches(topic),
            RedeliveryKind::Replay => (0, false),
        };
        RedeliveryContext {
            in_flight: parking.in_flight(redelivery.kind),
            clean: parking.is_clean_of(redelivery.kind) && self.delivery.unconfirmed.is_empty(),
            batches,
            waiting,
        }
    }

    async fn tend(&mut self, index: usize) -> Result<Tended, RunEnd> {
        for _ in 0..BURST {
            let scan = &self.page_redeliveries[index].scan;
            let (context, kind) = (self.context(scan), scan.kind);
            match (scan.step(Instant::now(), context), kind) {
                (Step::Wait(_), _) => break,
                (Step::Prepare, RedeliveryKind::Parked(topic)) => {
                    let topic = self.delivery.topics.name(topic).to_owned();
                    match self.prepare(&topic).await? {
                        Ok(()) => self.read(index, 0, true, context),
                        Err(error) => self.postpone(index, &error),
                    }
                }
                (Step::Prepare, RedeliveryKind::Replay) => self.read(index, 0, false, context),
                (Step::Read { after, single }, _) => self.read(index, after, single, context),
                (Step::Finish, RedeliveryKind::Parked(topic)) => {
                    tracing::info!(
                        event = "topic_resumed",
                        topic = self.delivery.topics.name(topic),
                        "the topic accepts records again"
                    );
                    self.delivery.topics.recover(topic);
                    return Ok(Tended::Finished);
                }
                (Step::Finish, RedeliveryKind::Replay) => {
                    let look_again = Instant::now() + REPLAY_POLL_INTERVAL;
                    self.page_redeliveries[index].scan.rest(look_again);
                }
                (Step::Send, _) => {
                    if !self.send(index).await? {
                        break;
                    }
                }
            }
        }
        Ok(Tended::Open)
    }

    fn read(&mut self, index: usize, after: i64, single: bool, context: RedeliveryContext) {
        let redelivery = &mut self.page_redeliveries[index].scan;
        redelivery.read(after, context);
        let which = match redelivery.kind {
            RedeliveryKind::Parked(topic) => Waiting::ForTopic {
                topic: self.delivery.topics.name(topic).to_owned(),
                after,
            },
            RedeliveryKind::Replay => {
                let topics = &self.delivery.topics;
                let except = topics
                    .suspended()
                    .chain(self.delivery.keys.topics_with_dead_letters());
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
        self.feed.ask(Request::ReadDeadLetters {
            kind: redelivery.kind,
            which,
            limit,
        });
    }

    /// A page that was asked for is here.
    pub(super) fn redelivery_page(&mut self, kind: RedeliveryKind, page: DeadLetterPage) {
        if let Some(redelivery) = self
            .page_redeliveries
            .iter_mut()
            .find(|redelivery| redelivery.scan.kind == kind)
            && redelivery.scan.page(page.records.len(), page.last_position)
        {
            redelivery.page = page;
        }
    }

    /// Sends the next record of a redelivery. `false` if it has to wait.
    async fn send(&mut self, index: usize) -> Result<bool, RunEnd> {
        let redelivery = &self.page_redeliveries[index];
        let Some(record) = redelivery.current() else {
            return Ok(false);
        };
        let (kind, row) = (redelivery.scan.kind, (record.seq, record.id));
        if !self.delivery.has_room_for(kind, &record) {
            return Ok(false);
        }
        if kind == RedeliveryKind::Replay && self.delivery.topics.blocking().covers(record.topic) {
            // The redelivery by key sends it.
            self.page_redeliveries[index].scan.advance(1);
            return Ok(true);
        }
        let Err(mut error) = self.delivery.send_redelivery(kind, &record) else {
            self.page_redeliveries[index].scan.advance(1);
            return Ok(true);
        };
        if error.kind() == PublishErrorKind::Unprepared {
            let topic = record.topic.to_owned();
            match self.prepare(&topic).await? {
                Ok(()) => return Ok(true),
                Err(unprepared) => error = unprepared,
            }
        }
        let reason = match (error.kind(), kind) {
            (PublishErrorKind::Record(reason), _) => reason,
            (PublishErrorKind::Topic, RedeliveryKind::Replay) => TOPIC_UNAVAILABLE,
            (PublishErrorKind::Full, _) => return Ok(false),
            (PublishErrorKind::Fatal | PublishErrorKind::Configuration, _) => {
                return Err(RunEnd::Refused(error));
            }
            (PublishErrorKind::Topic, RedeliveryKind::Parked(_))
            | (
                PublishErrorKind::Unavailable | PublishErrorKind::Withdrawn | PublishErrorKind::Unprepared,
                _,
            ) => {
                self.postpone(index, &error);
                return Ok(false);
            }
        };
        self.delivery.fail_again(row, reason, &error, &self.feed);
        self.page_redeliveries[index].scan.advance(1);
        Ok(true)
    }

    fn postpone(&mut self, index: usize, error: &PublishError) {
        tracing::debug!(%error, "what waits in the dead letters waits on");
        self.page_redeliveries[index].scan.failed(Instant::now());
    }
}

enum Tended {
    Open,
    Finished,
}

/// A redelivery and the page that it sends.
pub(super) struct OpenRedelivery {
    scan: PageRedelivery,
    page: DeadLetterPage,
}

impl OpenRedelivery {
    fn current(&self) -> Option<OutboxRecord<'_>> {
        self.page.records.get(self.scan.next()?)
    }
}
