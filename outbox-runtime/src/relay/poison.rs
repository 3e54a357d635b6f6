//! Records that take the process down: found by sending one at a time, each written down before it goes.
//!
//! It begins when three terms in a row neither ended in order nor got anywhere. What counts against a record is that it
//! was alone in flight, the process died at once, and another record had been acknowledged in the same term: so the
//! broker worked, and the process too. Whoever kills processes, deploys or restarts them while a broker is away finds no
//! record guilty.

use std::collections::HashSet;
use std::time::Duration;

use rand::seq::IteratorRandom as _;
use tokio::time::Instant;

use crate::publisher::{PublishError, PublishErrorKind, Publisher, Ticket};
use crate::record::{OutboxRecord, RecordPage};
use crate::relay::Relay;
use crate::relay::dead_letters::{BEHIND_DEAD, SKIPPED};
use crate::relay::leadership::Leadership;
use crate::relay::pipeline::one_at_a_time::Admits;
use crate::relay::run_end::RunEnd;
use crate::relay::stop::Stop;
use crate::store::{DeadLetter, PageLimit, PoisonHistory, PoisonProbe, Reader, RowId, Store, StoreError};

/// So many terms that got nowhere are no accident.
const TERMS: u64 = 3;

/// So many deaths dead_letter_poison a record.
const DEATHS: u64 = 3;

/// A record that takes its process down does so at once. When the process has outlived it for so long, a later death
/// has another cause.
const AT_ONCE: Duration = Duration::from_millis(200);

/// The word for programs of a record that took its process down.
const TAKES_THE_PROCESS_DOWN: &str = "takes_the_process_down";

/// Rows of one page: there is no hurry.
const PAGE_ROWS: usize = 500;

/// The state of a leader term that looks for poison.
#[derive(Debug)]
pub(super) struct PoisonDetection {
    /// How many records are to go alone: as many as may have been on their way together.
    left: usize,
    suspect: Option<(RowId, u64)>,
    /// Whether a record was acknowledged in this term.
    evidence: bool,
}

/// Where the page that is being sent lies.
struct Page<'a> {
    page: &'a RecordPage,
    /// The place of its first record.
    first: Ticket,
}

impl Page<'_> {
    fn ticket(&self, index: usize) -> Ticket {
        self.first + index as Ticket
    }
}

impl PoisonDetection {
    /// Whether a leader term has to look for poison.
    pub(super) fn from_history(poison_history: PoisonHistory, records: usize) -> Option<Self> {
        let PoisonHistory {
            unended_terms,
            suspect,
        } = poison_history;
        if unended_terms < TERMS && suspect.is_none() {
            return None;
        }
        tracing::warn!(
            terms = unended_terms,
            "relays crashed repeatedly; records are sent one at a time, to find out whether one of them is \
             the cause"
        );
        Some(Self {
            left: records,
            suspect,
            evidence: false,
        })
    }

    /// Whether records are still to go alone.
    pub(super) fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// How many deaths count against a record.
    fn deaths(&self, row: RowId) -> Option<u64> {
        self.suspect
            .filter(|(suspect, _)| *suspect == row)
            .map(|(_, deaths)| deaths)
    }
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Sends record after record until none may be the cause. What it cannot decide, it leaves to the next pipeline run.
    pub(super) async fn detect_poison(
        &mut self,
        detection: &mut PoisonDetection,
        mut reader: S::Reader,
        leadership: &Leadership,
        stop: &Stop,
    ) -> RunEnd {
        match self
            .send_one_at_a_time(detection, &mut reader, leadership, stop)
            .await
        {
            Ok(()) => match reader.note_probe(PoisonProbe::Cleared).await {
                Ok(()) => {
                    detection.left = 0;
                    RunEnd::Again
                }
                Err(error) => RunEnd::Store(error),
            },
            Err(end) => end,
        }
    }

    async fn send_one_at_a_time(
        &mut self,
        detection: &mut PoisonDetection,
        reader: &mut S::Reader,
        leadership: &Leadership,
        stop: &Stop,
    ) -> Result<(), RunEnd> {
        let limit = PageLimit {
            rows: PAGE_ROWS.min(self.config.page_rows),
            bytes: self.config.page_bytes,
        };
        while detection.left > 0 {
            let Some(page) = reader.next_page(limit).await.map_err(RunEnd::Store)? else {
                return Ok(());
            };
            let places = Page {
                page: &page,
                first: self.delivery.next_ticket(),
            };
            for record in page.iter() {
                self.delivery.hold_place(page.window(), &record);
            }
            for index in 0..page.len() {
                if !self.delivery.is_unsettled(places.ticket(index)) {
                    continue;
                }
                if !self
                    .send_alone(detection, reader, &places, index, leadership, stop)
                    .await?
                {
                    return Ok(());
                }
                detection.left = detection.left.saturating_sub(1);
                if let Some(mark) = self.delivery.settled_to() {
                    reader.persist(mark).await.map_err(RunEnd::Store)?;
                    self.delivery.persisted(mark);
                }
            }
        }
        Ok(())
    }

    /// Settles one record. `false` if that is nothing that poison detection can decide.
    async fn send_alone(
        &mut self,
        detection: &mut PoisonDetection,
        reader: &mut S::Reader,
        places: &Page<'_>,
        index: usize,
        leadership: &Leadership,
        stop: &Stop,
    ) -> Result<bool, RunEnd> {
        let Some(record) = places.page.get(index) else {
            return Ok(true);
        };
        let (row, ticket) = ((record.seq, record.id), places.ticket(index));
        if matches!(self.delivery.admits(&record), Admits::Suspect { .. }) {
            return Ok(false);
        }
        if self
            .put_away(reader, &record, ticket)
            .await
            .map_err(RunEnd::Store)?
        {
            return Ok(true);
        }
        if let Some(deaths) = detection.deaths(row) {
            if deaths >= DEATHS {
                self.dead_letter_poison(reader, row, ticket)
                    .await
                    .map_err(RunEnd::Store)?;
                detection.suspect = None;
                return Ok(true);
            }
            // Another one first, to see whether all else is well. Any, because it may be as bad.
            if !detection.evidence
                && let Some(other) = self.any_behind(places, index)
                && let Some(record) = places.page.get(other)
            {
                let ticket = places.ticket(other);
                if !self
                    .put_away(reader, &record, ticket)
                    .await
                    .map_err(RunEnd::Store)?
                    && !self
                        .deliver(detection, reader, &record, ticket, leadership, stop)
                        .await?
                {
                    return Ok(false);
                }
            }
        }
        let evidence = detection.evidence;
        let begins = PoisonProbe::Begun { row, evidence };
        reader.note_probe(begins).await.map_err(RunEnd::Store)?;
        self.deliver(detection, reader, &record, ticket, leadership, stop)
            .await
    }

    /// A record behind this one that may go before it: of another key, and the first of that which is not settled.
    fn any_behind(&self, places: &Page<'_>, index: usize) -> Option<usize> {
        let suspect = places.page.get(index)?;
        let mut keys = HashSet::from([(suspect.topic, suspect.key)]);
        let behind = places.page.iter().enumerate().skip(index + 1);
        let unsettled = behind.filter(|(other, _)| {
            let ticket = places.ticket(*other);
            self.delivery.is_unsettled(ticket)
        });
        let others = unsettled.filter(|(_, record)| keys.insert((record.topic, record.key)));
        others.map(|(other, _)| other).choose(&mut rand::rng())
    }

    /// Parks a record whose topic is suspended, or whose key waits behind a dead one. `false` if it may go.
    async fn put_away(
        &mut self,
        reader: &mut S::Reader,
        record: &OutboxRecord<'_>,
        ticket: Ticket,
    ) -> Result<bool, StoreError> {
        let row = (record.seq, record.id);
        match self.delivery.admits(record) {
            Admits::Suspended(why) => {
                reader.park(&[row], &why).await?;
                self.delivery.put_away(ticket, why.reason);
                Ok(true)
            }
            Admits::Skipped(why) => {
                self.dead_letter_now(reader, row, ticket, SKIPPED, why).await?;
                Ok(true)
            }
            Admits::UnlessBlocked | Admits::Suspect { blocks: true } => {
                let key = (record.topic.to_owned(), record.key.to_owned());
                let blocked = reader.have_dead_letters(&[key]).await?.contains(&true);
                if blocked {
                    reader.park_behind(&[row]).await?;
                    self.delivery.put_away(ticket, BEHIND_DEAD);
                }
                Ok(blocked)
            }
            Admits::Yes | Admits::Suspect { blocks: false } => Ok(false),
        }
    }

    async fn dead_letter_poison(
        &mut self,
        reader: &mut S::Reader,
        row: RowId,
        ticket: Ticket,
    ) -> Result<(), StoreError> {
        let error = format!(
            "the relay's process died {DEATHS} times at the revision at which this record was sent, alone and after others \
             had been acknowledged"
        );
        self.dead_letter_now(reader, row, ticket, TAKES_THE_PROCESS_DOWN, error)
            .await?;
        reader.note_probe(PoisonProbe::Cleared).await
    }

    async fn dead_letter_now(
        &mut self,
        reader: &mut S::Reader,
        (seq, id): RowId,
        ticket: Ticket,
        reason: &'static str,
        error: String,
    ) -> Result<(), StoreError> {
        tracing::error!(event = "dead_letter", seq, %id, reason, %error, "a record cannot be delivered; it goes to the dead letters");
        let dead_letter = DeadLetter {
            seq,
            id,
            reason,
            error,
        };
        reader.dead_letter(&dead_letter).await?;
        self.delivery.dead_letter_written(ticket, reason, 0);
        Ok(())
    }

    /// Sends a record and waits for its outcome. `false` if it takes so long that the record is not the cause: then
    /// it is nothing that poison detection can decide.
    async fn deliver(
        &mut self,
        detection: &mut PoisonDetection,
        reader: &mut S::Reader,
        record: &OutboxRecord<'_>,
        ticket: Ticket,
        leadership: &Leadership,
        stop: &Stop,
    ) -> Result<bool, RunEnd> {
        let row = (record.seq, record.id);
        if let Err(error) = self.hand_over_alone(record, ticket, leadership, stop).await? {
            return match error.kind() {
                PublishErrorKind::Record(reason) => {
                    let dead_letter_written =
                        self.dead_letter_now(reader, row, ticket, reason, error.to_string());
                    dead_letter_written.await.map(|()| true).map_err(RunEnd::Store)
                }
                PublishErrorKind::Topic => Ok(false),
                PublishErrorKind::Unavailable
                | PublishErrorKind::Withdrawn
                | PublishErrorKind::Full
                | PublishErrorKind::Unprepared
                | PublishErrorKind::Fatal
                | PublishErrorKind::Configuration => Err(RunEnd::Refused(error)),
            };
        }
        let sent_at = Instant::now();
        let mut postponed = false;
        while self.delivery.is_outstanding(ticket) {
            tokio::select! {
                biased;
                () = leadership.over() => return Err(RunEnd::LeaseLost),
                () = stop.asked() => return Err(RunEnd::Stopped),
                () = self.delivery.settled() => match self.delivery.note(None) {
                    Ok(()) => {}
                    Err(error) => match error.kind() {
                        PublishErrorKind::Record(reason) => {
                            let dead_letter_written = self.dead_letter_now(reader, row, ticket, reason, error.to_string());
                            return dead_letter_written.await.map(|()| true).map_err(RunEnd::Store);
                        }
                        PublishErrorKind::Topic
                        | PublishErrorKind::Unavailable
                        | PublishErrorKind::Withdrawn
                        | PublishErrorKind::Full
                        | PublishErrorKind::Unprepared
                        | PublishErrorKind::Fatal
                        | PublishErrorKind::Configuration => return Err(RunEnd::Broker(error)),
                    },
                },
                () = tokio::time::sleep_until(sent_at + AT_ONCE), if !postponed => {
                    postponed = true;
                    reader.note_probe(PoisonProbe::Postponed).await.map_err(RunEnd::Store)?;
                }
                () = tokio::time::sleep_until(sent_at + self.config.suspend_after) => return Ok(false),
            }
        }
        detection.evidence = true;
        Ok(true)
    }

    /// Hands a record over, after its topic was prepared if need be.
    async fn hand_over_alone(
        &mut self,
        record: &OutboxRecord<'_>,
        ticket: Ticket,
        leadership: &Leadership,
        stop: &Stop,
    ) -> Result<Result<(), PublishError>, RunEnd> {
        let delivery = &mut self.delivery;
        match delivery.send_held(ticket, record) {
            Err(unprepared) if unprepared.kind() == PublishErrorKind::Unprepared => {}
            sent => return Ok(sent),
        }
        let prepared = tokio::select! {
            biased;
            () = leadership.over() => return Err(RunEnd::LeaseLost),
            () = stop.asked() => return Err(RunEnd::Stopped),
            prepared = delivery.publisher().prepare(record.topic) => prepared,
        };
        Ok(prepared.and_then(|()| delivery.send_held(ticket, record)))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn detection(unended_terms: u64, deaths: Option<u64>) -> Option<PoisonDetection> {
        let suspect = deaths.map(|deaths| ((1, Uuid::nil()), deaths));
        PoisonDetection::from_history(
            PoisonHistory {
                unended_terms,
                suspect,
            },
            10,
        )
    }

    #[test]
    fn two_deaths_are_an_accident() {
        assert!(detection(0, None).is_none() && detection(2, None).is_none());
        assert!(detection(3, None).is_some());
        assert!(
            detection(0, Some(0)).is_some(),
            "one was alone when its term broke off"
        );
    }

    #[test]
    fn deaths_count_against_the_record_that_was_alone() {
        let detection = detection(0, Some(2)).unwrap();
        assert_eq!(detection.deaths((1, Uuid::nil())), Some(2));
        assert_eq!(detection.deaths((2, Uuid::nil())), None);
    }
}
