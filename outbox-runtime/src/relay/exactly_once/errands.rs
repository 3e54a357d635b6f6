//! What goes out of the dead letters: records of topics that were set aside, and those that somebody wants sent again.
//!
//! Each transaction of them names the rows that it sends. They are deleted after it and before the next one, so that
//! whoever finds the names in the broker's cursor knows what is left to delete.

use std::time::Duration;

use tokio::time::Instant;

use super::session::{Ready, Session, within};
use crate::publisher::{PublishErrorKind, Settlement};
use crate::relay::RelayConfig;
use crate::relay::backoff::Backoff;
use crate::relay::delivery::TOPIC_UNAVAILABLE;
use crate::relay::feed::{Done, Request};
use crate::relay::parking::Errand;
use crate::relay::pass::End;
use crate::relay::topics::TopicNumber;
use crate::store::{DeadLetter, DeadLetterPage, PageLimit, RowId, Store, Waiting};

/// How often it is looked for replays.
const LOOK_FOR_REPLAYS: Duration = Duration::from_millis(500);

/// Rows of one transaction. The cursor's record names them all.
const ROWS: usize = 1_000;

/// Bytes of one transaction.
const BYTES: usize = 8 << 20;

/// Topics that are set aside, and the replays.
pub(super) struct Errands {
    lanes: Vec<Lane>,
    next_number: TopicNumber,
    backoff: Backoff,
    /// Pages and errands take turns.
    page_first: bool,
}

struct Lane {
    /// The topic whose parked records these are; `None` for replays.
    topic: Option<Aside>,
    due: Instant,
    backoff: Backoff,
    /// Nothing came of it since the session began, or something did: it was tried.
    tried: bool,
    /// A record of it went through. Until then, one at a time is tried.
    trusted: bool,
}

struct Aside {
    name: String,
    number: TopicNumber,
    error: String,
}

impl Errands {
    /// Records of these topics wait since an earlier session.
    pub(super) fn new(config: &RelayConfig, parked: &[String]) -> Self {
        let backoff = Backoff::new(config);
        let mut errands = Self {
            lanes: vec![Lane {
                topic: None,
                due: Instant::now(),
                backoff: backoff.fresh(),
                tried: false,
                trusted: true,
            }],
            next_number: 0,
            backoff,
            page_first: false,
        };
        for topic in parked {
            let why = "records of it wait since an earlier relay set it aside";
            errands.open_lane(topic, why.to_owned());
        }
        errands
    }

    fn open_lane(&mut self, topic: &str, error: String) {
        self.lanes.push(Lane {
            topic: Some(Aside {
                name: topic.to_owned(),
                number: self.next_number,
                error,
            }),
            due: Instant::now(),
            backoff: self.backoff.fresh(),
            tried: false,
            trusted: false,
        });
        self.next_number += 1;
    }

    /// From now on a topic's records are parked.
    pub(super) fn set_aside(&mut self, topic: &str, error: String) {
        if self.aside(topic).is_none() {
            tracing::warn!(
                topic,
                error,
                "the topic takes no records while others do; it is set aside, and its records wait in the dead letters"
            );
            self.open_lane(topic, error);
        }
    }

    fn topics(&self) -> impl Iterator<Item = &Aside> {
        self.lanes.iter().filter_map(|lane| lane.topic.as_ref())
    }

    /// The number of a topic that is set aside.
    pub(super) fn aside(&self, topic: &str) -> Option<TopicNumber> {
        let found = self.topics().find(|aside| aside.name == topic);
        found.map(|aside| aside.number)
    }

    /// Why it is.
    pub(super) fn why(&self, topic: TopicNumber) -> String {
        let found = self.topics().find(|aside| aside.number == topic);
        found.map(|aside| aside.error.clone()).unwrap_or_default()
    }

    pub(super) fn page_had_its_turn(&mut self) {
        self.page_first = false;
    }
}

impl<S: Store> Session<'_, S> {
    /// Whether anything may be sent out of the dead letters: not as long as a row may stand there that the cursor is
    /// not past, for it would be read again.
    fn errands_may_run(&self) -> bool {
        self.resumed.is_none() && !self.told_ahead
    }

    /// The lane whose turn it is.
    pub(super) fn due_errand(&self) -> Option<usize> {
        if !self.errands_may_run() || (self.errands.page_first && !self.pages.is_empty()) {
            return None;
        }
        let now = Instant::now();
        self.errands.lanes.iter().position(|lane| lane.due <= now)
    }

    /// When a lane is due that is not now.
    pub(super) fn next_errand(&self) -> Instant {
        let now = Instant::now();
        let lanes = self.errands.lanes.iter().map(|lane| lane.due);
        let next = lanes.filter(|due| *due > now).min();
        next.unwrap_or(now + LOOK_FOR_REPLAYS)
    }

    /// Whether each lane was tried, and has nothing to do at the moment.
    pub(super) fn errands_are_done(&self) -> bool {
        let now = Instant::now();
        let lanes = &self.errands.lanes;
        lanes
            .iter()
            .all(|lane| lane.tried && (lane.due > now || lane.topic.is_none()))
    }

    /// Sends some rows of a lane.
    pub(super) async fn run_errand(&mut self, index: usize) -> Result<(), End> {
        self.errands.page_first = true;
        let lane = &self.errands.lanes[index];
        let trusted = lane.trusted;
        let topic = lane.topic.as_ref().map(|aside| aside.name.clone());
        if let Some(topic) = &topic {
            match self.prepare(topic).await? {
                Ready::Yes => {}
                Ready::OpenAgain => return Err(End::Again),
                Ready::No(_) => {
                    self.postpone(index);
                    return Ok(());
                }
            }
        }
        let which = match &topic {
            Some(topic) => Waiting::ForTopic {
                topic: topic.clone(),
                after: 0,
            },
            None => Waiting::ForReplay {
                except: self.errands.topics().map(|aside| aside.name.clone()).collect(),
                after: 0,
            },
        };
        let rows = if trusted { ROWS } else { 1 };
        let limit = PageLimit { rows, bytes: BYTES };
        let errand = Errand::Replay;
        let asked = self.ask(Request::DeadLetters { errand, which, limit }).await?;
        let Done::DeadLetters(_, page) = asked else {
            return Ok(());
        };
        if page.records.is_empty() {
            self.nothing_waits(index);
            return Ok(());
        }
        self.send_errand(index, &page).await
    }

    fn nothing_waits(&mut self, index: usize) {
        let lane = &mut self.errands.lanes[index];
        lane.tried = true;
        match &lane.topic {
            None => {
                lane.due = Instant::now() + LOOK_FOR_REPLAYS;
                lane.trusted = true;
            }
            Some(aside) => {
                tracing::info!(topic = aside.name, "the topic takes records again");
                self.errands.lanes.remove(index);
            }
        }
    }

    fn postpone(&mut self, index: usize) {
        let lane = &mut self.errands.lanes[index];
        lane.tried = true;
        lane.trusted = false;
        lane.due = Instant::now() + lane.backoff.next();
    }

    async fn send_errand(&mut self, index: usize, page: &DeadLetterPage) -> Result<(), End> {
        let is_replay = self.errands.lanes[index].topic.is_none();
        self.transactions.begin().map_err(End::Broker)?;
        let (mut sent, mut failed) = (Vec::new(), Vec::new());
        let mut next = 0;
        while let Some(record) = page.records.get(next) {
            let row = (record.seq, record.id);
            let Err(error) = self.transactions.send(sent.len() as u64, &record, &self.wire) else {
                sent.push(row);
                next += 1;
                continue;
            };
            match error.kind() {
                PublishErrorKind::Unprepared => {
                    let topic = record.topic.to_owned();
                    match self.prepare(&topic).await? {
                        Ready::Yes => {}
                        Ready::OpenAgain => return Err(End::Again),
                        Ready::No(error) => {
                            failed.push((row, TOPIC_UNAVAILABLE, error.to_string()));
                            next += 1;
                        }
                    }
                }
                PublishErrorKind::Record(reason) => {
                    failed.push((row, reason, error.to_string()));
                    next += 1;
                }
                PublishErrorKind::Topic if is_replay => {
                    failed.push((row, TOPIC_UNAVAILABLE, error.to_string()));
                    next += 1;
                }
                _ => return Err(End::Refused(error)),
            }
        }
        if sent.is_empty() {
            within(self.tenure, self.stop, self.transactions.abort())
                .await?
                .map_err(End::Broker)?;
        } else {
            let committed = self.commit(self.place.position, sent.clone()).await?;
            match committed {
                Ok(()) => self.took_out(index, sent).await?,
                Err(refused) => self.after_refused_errand(index, &sent, refused, &mut failed)?,
            }
        }
        for (row, reason, error) in failed {
            self.fail_again(row, reason, error, is_replay).await?;
        }
        Ok(())
    }

    /// Rows were delivered.
    async fn took_out(&mut self, index: usize, rows: Vec<RowId>) -> Result<(), End> {
        self.delivered(rows.len());
        self.ask(Request::TakeOut(rows)).await?;
        let lane = &mut self.errands.lanes[index];
        lane.trusted = true;
        lane.due = Instant::now();
        lane.backoff.reset();
        Ok(())
    }

    /// Rows were refused: one that was alone is to blame, else each is tried alone.
    fn after_refused_errand(
        &mut self,
        index: usize,
        sent: &[RowId],
        refused: Vec<Settlement>,
        failed: &mut Vec<(RowId, &'static str, String)>,
    ) -> Result<(), End> {
        let is_replay = self.errands.lanes[index].topic.is_none();
        let error = refused.into_iter().find_map(|settlement| {
            let at = usize::try_from(settlement.ticket).unwrap_or(usize::MAX);
            let error = settlement.result.err()?;
            Some((sent.get(at).copied(), *error))
        });
        let Some((row, error)) = error else {
            return Ok(());
        };
        let reason = match error.kind() {
            PublishErrorKind::Record(reason) => Some(reason),
            PublishErrorKind::Topic if is_replay => Some(TOPIC_UNAVAILABLE),
            PublishErrorKind::Topic | PublishErrorKind::Unavailable if !is_replay => None,
            _ => return Err(End::Broker(error)),
        };
        match (reason, row) {
            (Some(reason), Some(row)) if sent.len() == 1 => failed.push((row, reason, error.to_string())),
            (Some(_), _) => self.errands.lanes[index].trusted = false,
            (None, _) => self.postpone(index),
        }
        Ok(())
    }

    async fn fail_again(
        &mut self,
        (seq, id): RowId,
        reason: &'static str,
        error: String,
        is_replay: bool,
    ) -> Result<(), End> {
        tracing::error!(seq, %id, reason, error, "a record of the dead letters cannot be delivered; it stays there");
        let letter = DeadLetter {
            seq,
            id,
            reason,
            error,
        };
        self.ask(Request::FailAgain(letter)).await?;
        if !is_replay {
            self.report.dead_lettered += 1;
            self.progress.add_dead_lettered(1);
        }
        Ok(())
    }
}
