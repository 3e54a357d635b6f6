//! Sends what waits in the dead letters of topics that block: each key's rows in order, one at a time, up to the
//! first that is dead and that nobody wants sent again.

use std::time::Duration;

use tokio::time::Instant;

use super::Goal;
use super::errands::{LOOK_FOR_REPLAYS, PAGE};
use super::feed::Request;
use super::in_order::Sent;
use super::keys::Moment;
use super::lane::Around;
use super::parking::Errand;
use super::pass::{End, Pass};
use super::round::{Round, Step};
use super::topics::{Standing, TopicNumber};
use crate::publisher::{PublishErrorKind, Publisher};
use crate::store::{PageLimit, Released, Store};

impl<S: Store, P: Publisher> Pass<'_, S, P> {
    /// Does for each topic what can be done now, and sends what may go.
    pub(super) async fn tend_rounds(&mut self) -> Result<(), End> {
        self.open_rounds();
        for index in 0..self.rounds.len() {
            self.tend_round(index).await?;
        }
        loop {
            match self.delivery.send_ready(&self.feed) {
                Sent::All | Sent::NoRoom => return Ok(()),
                Sent::Failed(error) => return Err(End::Refused(error)),
                Sent::Unprepared(topic) => match self.prepare(&topic).await? {
                    Ok(()) => {}
                    Err(error) if error.kind() == PublishErrorKind::Topic => {
                        let topic = self.delivery.topics.number(&topic);
                        self.delivery.doubt(topic, &error);
                        self.delivery.failed_errands.push(Errand::Parked(topic));
                    }
                    Err(error) => return Err(End::Refused(error)),
                },
            }
        }
    }

    /// A round for each topic that blocks and has dead letters.
    fn open_rounds(&mut self) {
        if self.goal == Goal::CatchUp {
            return;
        }
        let topics = &self.delivery.topics;
        let aside = topics.aside().filter(|topic| topics.blocks(*topic));
        for topic in self.delivery.keys.lettered().chain(aside).collect::<Vec<_>>() {
            if !self.rounds.iter().any(|round| round.topic == topic) {
                let backoff = self.backoff.fresh();
                self.rounds.push(Round::new(topic, Instant::now(), backoff));
            }
        }
    }

    fn is_aside(&self, topic: TopicNumber) -> bool {
        matches!(self.delivery.topics.standing(topic), Standing::Aside { .. })
    }

    fn around_round(&self, round: &Round) -> Around {
        let (batches, waiting) = self.delivery.parking.batches(round.topic);
        Around {
            afloat: self.delivery.letters_under_way(round.topic),
            clean: self.delivery.parking.is_clean_of(Errand::Parked(round.topic))
                && self.delivery.unconfirmed.is_empty(),
            batches,
            waiting,
        }
    }

    /// When a round has something to do that nobody else tells.
    pub(super) fn next_round(&self) -> Option<Instant> {
        let now = Instant::now();
        let moments =
            self.rounds
                .iter()
                .filter_map(|round| match self.delivery.topics.standing(round.topic) {
                    Standing::Doubtful(_) => None,
                    Standing::Direct | Standing::Aside { .. } => {
                        match round.step(now, self.around_round(round)) {
                            Step::Wait(until) => until,
                            Step::Prepare | Step::Read(_) | Step::Finish => Some(now),
                        }
                    }
                });
        moments.min()
    }

    /// Whether each topic was looked at, and nothing of it may go at the moment.
    pub(super) fn rounds_are_done(&self) -> bool {
        self.rounds.iter().all(|round| {
            let unanswered = self.is_aside(round.topic)
                && self.delivery.letters_under_way(round.topic) > 0
                && round.changed.elapsed() > self.config.set_aside_after;
            round.is_idle() || unanswered
        })
    }

    /// A record that a round has handed over did not go through.
    pub(super) fn round_failed(&mut self, topic: TopicNumber) {
        if let Some(round) = self.rounds.iter_mut().find(|round| round.topic == topic) {
            round.failed(Instant::now());
        }
    }

    async fn tend_round(&mut self, index: usize) -> Result<(), End> {
        let topic = self.rounds[index].topic;
        let aside = self.is_aside(topic);
        self.rounds[index].is_aside(aside);
        // Its records are held back until it is known what is the matter.
        if matches!(self.delivery.topics.standing(topic), Standing::Doubtful(_)) {
            self.rounds[index].wait_for_topic();
            return Ok(());
        }
        let around = self.around_round(&self.rounds[index]);
        match self.rounds[index].step(Instant::now(), around) {
            Step::Wait(_) => {}
            Step::Prepare => {
                let name = self.delivery.topics.name(topic).to_owned();
                match self.prepare(&name).await? {
                    Ok(()) => self.read_round(index, None, 1, around),
                    Err(error) => {
                        tracing::debug!(%error, "what waits in the dead letters waits on");
                        self.round_failed(topic);
                    }
                }
            }
            Step::Read(from) => self.read_round(index, from, PAGE.rows, around),
            Step::Finish => {
                if aside {
                    let name = self.delivery.topics.name(topic);
                    tracing::info!(topic = name, "the topic takes records again");
                    self.delivery.keys.healed(topic);
                    self.delivery.topics.trust(topic);
                }
                let look_again = self.look_again();
                self.rounds[index].finish(Instant::now() + look_again);
            }
        }
        Ok(())
    }

    /// Many topics are looked at no more often in all than a few.
    fn look_again(&self) -> Duration {
        let many = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        LOOK_FOR_REPLAYS * many.clamp(1, 20)
    }

    fn read_round(&mut self, index: usize, from: Option<String>, rows: usize, around: Around) {
        let round = &mut self.rounds[index];
        round.read(from.as_deref(), around);
        let topic = round.topic;
        self.feed.ask(Request::Released {
            topic,
            name: self.delivery.topics.name(topic).to_owned(),
            from,
            limit: PageLimit { rows, ..PAGE },
        });
    }

    /// A page that was asked for is here, and was read at this moment.
    pub(super) fn released(&mut self, topic: TopicNumber, page: &Released, moment: Moment) {
        let look_again = self.look_again();
        let aside = self.is_aside(topic);
        let Some(round) = self.rounds.iter_mut().find(|round| round.topic == topic) else {
            return;
        };
        if !round.page(page) {
            return;
        }
        if page.records.is_empty() && page.next.is_some() && !aside {
            // So many keys wait that looking at them takes a while; there is no hurry.
            round.rest(Instant::now() + look_again);
        }
        for (record, last) in page.records.iter().zip(&page.last) {
            self.delivery.keys.release(topic, &record, *last, moment);
        }
    }
}
