//! Sends what waits in the dead letters of topics that block: each key's rows in order, one at a time, up to the
//! first that is dead and that nobody wants sent again.

use std::time::Duration;

use tokio::time::Instant;

use super::page_redelivery::PAGE;
use super::publish_in_order::Sent;
use super::run::PipelineRun;
use crate::publisher::{PublishErrorKind, Publisher};
use crate::relay::dead_letters::REPLAY_POLL_INTERVAL;
use crate::relay::dead_letters::key_order::Revision;
use crate::relay::dead_letters::key_redelivery::{KeyRedelivery, Step};
use crate::relay::dead_letters::page_redelivery::RedeliveryContext;
use crate::relay::dead_letters::parking::RedeliveryKind;
use crate::relay::goal::Goal;
use crate::relay::reader_task::Request;
use crate::relay::run_end::RunEnd;
use crate::relay::topic_health::{TopicNumber, TopicState};
use crate::store::{PageLimit, Released};

impl<P: Publisher> PipelineRun<'_, P> {
    /// Does for each topic what can be done now, and sends what may go.
    pub(super) async fn advance_key_redeliveries(&mut self) -> Result<(), RunEnd> {
        self.open_key_redeliveries();
        for index in 0..self.key_redeliveries.len() {
            self.advance_key_redelivery(index).await?;
        }
        loop {
            match self.delivery.send_ready(&self.feed) {
                Sent::All | Sent::NoRoom => return Ok(()),
                Sent::Failed(error) => return Err(RunEnd::Refused(error)),
                Sent::Unprepared(topic) => match self.prepare(&topic).await? {
                    Ok(()) => {}
                    Err(error) if error.kind() == PublishErrorKind::Topic => {
                        let topic = self.delivery.topics.number(&topic);
                        self.delivery.suspect(topic, &error);
                        self.delivery
                            .failed_redeliveries
                            .push(RedeliveryKind::Parked(topic));
                    }
                    Err(error) => return Err(RunEnd::Refused(error)),
                },
            }
        }
    }

    /// A scan for each topic that blocks, has dead letters, and is not paused.
    fn open_key_redeliveries(&mut self) {
        if self.goal == Goal::CatchUp {
            return;
        }
        let topics = &self.delivery.topics;
        let suspended = topics.suspended().filter(|topic| topics.blocks(*topic));
        for topic in self
            .delivery
            .keys
            .topics_with_dead_letters()
            .chain(suspended)
            .filter(|topic| !topics.is_paused(*topic))
            .collect::<Vec<_>>()
        {
            if !self
                .key_redeliveries
                .iter()
                .any(|redelivery| redelivery.topic == topic)
            {
                let backoff = self.backoff.fresh();
                self.key_redeliveries
                    .push(KeyRedelivery::new(topic, Instant::now(), backoff));
            }
        }
    }

    fn is_suspended(&self, topic: TopicNumber) -> bool {
        matches!(self.delivery.topics.state(topic), TopicState::Suspended { .. })
    }

    fn key_redelivery_context(&self, redelivery: &KeyRedelivery) -> RedeliveryContext {
        let (batches, waiting) = self.delivery.parking.batches(redelivery.topic);
        RedeliveryContext {
            in_flight: self.delivery.dead_letters_pending(redelivery.topic),
            clean: self
                .delivery
                .parking
                .is_clean_of(RedeliveryKind::Parked(redelivery.topic))
                && self.delivery.unconfirmed.is_empty(),
            batches,
            waiting,
        }
    }

    /// When a scan has something to do without an event that announces it.
    pub(super) fn next_key_redelivery(&self) -> Option<Instant> {
        let now = Instant::now();
        let instants = self.key_redeliveries.iter().filter_map(|redelivery| {
            match self.delivery.topics.state(redelivery.topic) {
                TopicState::Suspect(_) => None,
                TopicState::Healthy | TopicState::Suspended { .. } => {
                    match redelivery.step(now, self.key_redelivery_context(redelivery)) {
                        Step::Wait(until) => until,
                        Step::Prepare | Step::Read(_) | Step::Finish => Some(now),
                    }
                }
            }
        });
        instants.min()
    }

    /// Whether each topic was looked at, and nothing of it may go at the revision.
    pub(super) fn key_redeliveries_are_done(&self) -> bool {
        self.key_redeliveries.iter().all(|redelivery| {
            let unanswered = self.is_suspended(redelivery.topic)
                && self.delivery.dead_letters_pending(redelivery.topic) > 0
                && redelivery.changed.elapsed() > self.config.suspend_after;
            redelivery.is_idle() || unanswered
        })
    }

    /// A record that a scan has handed over did not go through.
    pub(super) fn key_redelivery_failed(&mut self, topic: TopicNumber) {
        if let Some(redelivery) = self
            .key_redeliveries
            .iter_mut()
            .find(|redelivery| redelivery.topic == topic)
        {
            redelivery.failed(Instant::now());
        }
    }

    async fn advance_key_redelivery(&mut self, index: usize) -> Result<(), RunEnd> {
        let topic = self.key_redeliveries[index].topic;
        let suspended = self.is_suspended(topic);
        self.key_redeliveries[index].is_suspended(suspended);
        // Its records are held back until it is known what is the matter.
        if matches!(self.delivery.topics.state(topic), TopicState::Suspect(_)) {
            self.key_redeliveries[index].wait_for_topic();
            return Ok(());
        }
        let context = self.key_redelivery_context(&self.key_redeliveries[index]);
        match self.key_redeliveries[index].step(Instant::now(), context) {
            Step::Wait(_) => {}
            Step::Prepare => {
                let name = self.delivery.topics.name(topic).to_owned();
                match self.prepare(&name).await? {
                    Ok(()) => self.read_keys(index, None, 1, context),
                    Err(error) => {
                        tracing::debug!(%error, "what waits in the dead letters waits on");
                        self.key_redelivery_failed(topic);
                    }
                }
            }
            Step::Read(from) => self.read_keys(index, from, PAGE.rows, context),
            Step::Finish => {
                if suspended {
                    let name = self.delivery.topics.name(topic);
                    tracing::info!(
                        event = "topic_resumed",
                        topic = name,
                        "the topic accepts records again"
                    );
                    self.delivery.keys.recovered(topic);
                    self.delivery.topics.recover(topic);
                }
                let look_again = self.look_again();
                self.key_redeliveries[index].finish(Instant::now() + look_again);
            }
        }
        Ok(())
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.key_redeliveries.len()).unwrap_or(u32::MAX);
        REPLAY_POLL_INTERVAL * many.clamp(1, 20)
    }

    fn read_keys(&mut self, index: usize, from: Option<String>, rows: usize, context: RedeliveryContext) {
        let redelivery = &mut self.key_redeliveries[index];
        redelivery.read(from.as_deref(), context);
        let topic = redelivery.topic;
        self.feed.ask(Request::Released {
            topic,
            name: self.delivery.topics.name(topic).to_owned(),
            from,
            limit: PageLimit { rows, ..PAGE },
        });
    }

    /// A page that was asked for is here, and was read at this revision.
    pub(in crate::relay) fn released(&mut self, topic: TopicNumber, page: &Released, revision: Revision) {
        let look_again = self.look_again();
        let suspended = self.is_suspended(topic);
        let Some(redelivery) = self
            .key_redeliveries
            .iter_mut()
            .find(|redelivery| redelivery.topic == topic)
        else {
            return;
        };
        if !redelivery.page(page) {
            return;
        }
        if page.records.is_empty() && page.next.is_some() && !suspended {
            // So many keys wait that looking at them takes a while; there is no hurry.
            redelivery.rest(Instant::now() + look_again);
        }
        for (record, last) in page.records.iter().zip(&page.last) {
            self.delivery.keys.release(topic, &record, *last, revision);
        }
    }
}
