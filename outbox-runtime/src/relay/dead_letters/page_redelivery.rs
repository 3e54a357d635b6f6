//! How records leave the dead letters in the order of their positions: one at first, to see whether it is taken, and
//! then one page after the other.

use tokio::time::Instant;

use super::parking::RedeliveryKind;
use crate::relay::backoff::Backoff;

/// Records of one kind, in the order of their positions.
pub(in crate::relay) struct PageRedelivery {
    pub(in crate::relay) kind: RedeliveryKind,
    phase: Phase,
    /// Whether a record went through. For a replay no proof is asked.
    trusted: bool,
    /// Rows up to here were read.
    position: i64,
    /// How many batches were asked for before the page was.
    batches: u64,
    /// It was tried since the reader began.
    tried: bool,
    /// When a record of it was sent last.
    pub(in crate::relay) changed: Instant,
    backoff: Backoff,
}

enum Phase {
    Resting {
        until: Instant,
    },
    Reading,
    /// So many records of a page, of which `next` is sent next.
    Sending {
        records: usize,
        next: usize,
    },
    /// Everything that was read is sent; its outcome is awaited.
    Settling,
}

/// What a redelivery needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Step {
    /// Nothing, until something happens or until this instant.
    Wait(Option<Instant>),
    /// Its topic has to be asked for, and then [`PageRedelivery::read`].
    Prepare,
    /// The rows behind a position, a single one or a page.
    Read { after: i64, single: bool },
    /// The next record of its page.
    Send,
    /// Nothing waits for the topic any more.
    Finish,
}

/// What surrounds a redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct RedeliveryContext {
    /// Records of this kind that the publisher has.
    pub(in crate::relay) in_flight: usize,
    /// Whether all that was delivered is out of the dead letters, and it is known what is in there.
    pub(in crate::relay) clean: bool,
    /// How many batches the store was asked to park.
    pub(in crate::relay) batches: u64,
    /// Whether there are rows that it was not asked to park yet.
    pub(in crate::relay) waiting: bool,
}

impl PageRedelivery {
    pub(in crate::relay) fn new(kind: RedeliveryKind, now: Instant, backoff: Backoff) -> Self {
        Self {
            kind,
            phase: Phase::Resting { until: now },
            trusted: kind == RedeliveryKind::Replay,
            position: 0,
            batches: 0,
            tried: false,
            changed: now,
            backoff,
        }
    }

    pub(in crate::relay) fn step(&self, now: Instant, context: RedeliveryContext) -> Step {
        match &self.phase {
            Phase::Resting { until } if now < *until => Step::Wait(Some(*until)),
            // What the publisher has must not be sent a second time, nor overtaken.
            Phase::Resting { .. } if context.in_flight > 0 || !context.clean => Step::Wait(None),
            Phase::Resting { .. } if self.trusted => self.from(0),
            Phase::Resting { .. } => Step::Prepare,
            Phase::Reading => Step::Wait(None),
            Phase::Sending { records, next } if next < records => Step::Send,
            Phase::Sending { .. } if self.trusted => self.from(self.position),
            Phase::Sending { .. } if context.in_flight == 0 => self.from(self.position),
            Phase::Sending { .. } => Step::Wait(None),
            Phase::Settling if context.in_flight > 0 || !context.clean => Step::Wait(None),
            Phase::Settling if self.position > 0 || context.waiting || self.batches != context.batches => {
                self.from(0)
            }
            Phase::Settling => Step::Finish,
        }
    }

    fn from(&self, after: i64) -> Step {
        Step::Read {
            after,
            single: !self.trusted && after == 0,
        }
    }

    /// Its page was asked for.
    pub(in crate::relay) fn read(&mut self, after: i64, context: RedeliveryContext) {
        if matches!(self.phase, Phase::Sending { .. }) && !self.trusted {
            // Its only record was acknowledged.
            self.trusted = true;
            self.backoff = self.backoff.fresh();
        }
        self.phase = Phase::Reading;
        self.position = after;
        self.batches = context.batches;
    }

    /// A page of so many records is here, of which the last one has this position. `false` if nobody waits for it any
    /// more.
    pub(in crate::relay) fn page(&mut self, records: usize, last_position: i64) -> bool {
        if !matches!(self.phase, Phase::Reading) {
            return false;
        }
        self.phase = match records {
            0 => Phase::Settling,
            records => {
                self.position = last_position;
                Phase::Sending { records, next: 0 }
            }
        };
        true
    }

    /// The record of its page to send.
    pub(in crate::relay) fn next(&self) -> Option<usize> {
        match &self.phase {
            Phase::Sending { records, next } if next < records => Some(*next),
            Phase::Sending { .. } | Phase::Resting { .. } | Phase::Reading | Phase::Settling => None,
        }
    }

    /// So many records were sent, or settled otherwise.
    pub(in crate::relay) fn advance(&mut self, many: usize) {
        if let Phase::Sending { next, .. } = &mut self.phase {
            *next += many;
            self.changed = Instant::now();
        }
    }

    /// Its records were refused together: from now on, one at a time is sent until one is taken.
    pub(in crate::relay) fn distrust(&mut self, now: Instant) {
        self.rest(now);
        self.trusted = false;
    }

    /// It did not go through: again from the first row, later.
    pub(in crate::relay) fn failed(&mut self, now: Instant) {
        let pause = self.backoff.next();
        self.rest(now + pause);
    }

    /// Nothing is to be done until then.
    pub(in crate::relay) fn rest(&mut self, until: Instant) {
        self.phase = Phase::Resting { until };
        self.trusted = self.kind == RedeliveryKind::Replay;
        self.position = 0;
        self.tried = true;
    }

    /// Whether it may be left alone for now.
    pub(in crate::relay) fn is_idle(&self) -> bool {
        self.tried && matches!(self.phase, Phase::Resting { .. } | Phase::Reading)
    }

    /// Whether it waits for the outcome of its first record, so that its topic is as silent as before.
    pub(in crate::relay) fn is_probing(&self) -> bool {
        !self.trusted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::RelayConfig;

    const CALM: RedeliveryContext = RedeliveryContext {
        in_flight: 0,
        clean: true,
        batches: 0,
        waiting: false,
    };

    fn redelivery(kind: RedeliveryKind) -> PageRedelivery {
        PageRedelivery::new(kind, Instant::now(), Backoff::new(&RelayConfig::default()))
    }

    #[test]
    fn one_record_goes_first_and_the_others_when_it_is_taken() {
        let mut redelivery = redelivery(RedeliveryKind::Parked(0));
        let now = Instant::now();
        assert_eq!(redelivery.step(now, CALM), Step::Prepare);
        redelivery.read(0, CALM);
        redelivery.page(1, 1);
        assert_eq!(redelivery.step(now, CALM), Step::Send);
        redelivery.advance(1);
        let sent = RedeliveryContext { in_flight: 1, ..CALM };
        assert_eq!(
            redelivery.step(now, sent),
            Step::Wait(None),
            "nothing follows an open question"
        );
        assert_eq!(
            redelivery.step(now, CALM),
            Step::Read {
                after: 1,
                single: false
            }
        );
        redelivery.read(1, CALM);
        redelivery.page(2, 3);
        assert_eq!(redelivery.step(now, CALM), Step::Send);
        redelivery.failed(now);
        assert!(matches!(redelivery.step(now, CALM), Step::Wait(Some(until)) if until > now));
        assert_eq!(
            redelivery.step(now + Duration::from_secs(60), sent),
            Step::Wait(None)
        );
        assert_eq!(
            redelivery.step(now + Duration::from_secs(60), CALM),
            Step::Prepare
        );
    }

    #[test]
    fn a_redelivery_ends_only_when_nothing_is_left_behind() {
        let mut redelivery = redelivery(RedeliveryKind::Parked(0));
        let now = Instant::now();
        redelivery.read(0, CALM);
        let more = RedeliveryContext { batches: 1, ..CALM };
        redelivery.page(0, 0);
        assert_ne!(
            redelivery.step(now, more),
            Step::Finish,
            "more was parked meanwhile"
        );
        redelivery.read(0, more);
        redelivery.page(0, 0);
        assert_eq!(redelivery.step(now, more), Step::Finish);
        assert_eq!(
            redelivery.step(now, RedeliveryContext { clean: false, ..more }),
            Step::Wait(None)
        );
        assert_ne!(
            redelivery.step(
                now,
                RedeliveryContext {
                    waiting: true,
                    ..more
                }
            ),
            Step::Finish
        );
    }

    /// A store of parked rows and a topic that takes a record, refuses one, or leaves one unanswered for a while.
    #[derive(Debug, Clone)]
    enum Event {
        Park,
        Tick,
        Acknowledge,
        Refuse,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => Just(Event::Park),
            6 => Just(Event::Tick),
            4 => Just(Event::Acknowledge),
            1 => Just(Event::Refuse),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        /// Whatever happens when: rows go out in order and once, and the redelivery ends with none left behind.
        #[test]
        fn rows_go_out_in_order_and_none_is_left(events in proptest::collection::vec(event(), 1..200)) {
            let mut redelivery = redelivery(RedeliveryKind::Parked(0));
            let mut now = Instant::now();
            let (mut parked, mut next_position, mut batches) = (vec![1i64], 2i64, 0u64);
            let (mut in_flight, mut log): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
            let (mut page, mut finished) = (Vec::new(), false);
            let all = events.into_iter().chain(std::iter::repeat_n([Event::Tick, Event::Acknowledge], 400).flatten());
            for event in all {
                let context = RedeliveryContext { in_flight: in_flight.len(), batches, ..CALM };
                match event {
                    Event::Park if !finished => {
                        parked.push(next_position);
                        (next_position, batches) = (next_position + 1, batches + 1);
                    }
                    Event::Park => {}
                    Event::Acknowledge => if !in_flight.is_empty() {
                        let position = in_flight.remove(0);
                        log.push(position);
                        parked.retain(|parked| *parked != position);
                    },
                    // As a withdrawal does it: everything behind the refused one comes back too.
                    Event::Refuse => if !in_flight.is_empty() {
                        in_flight.clear();
                        redelivery.failed(now);
                    },
                    Event::Tick if finished => {}
                    Event::Tick => match redelivery.step(now, context) {
                        Step::Wait(_) => now += Duration::from_secs(1),
                        step @ (Step::Prepare | Step::Read { .. }) => {
                            let (after, single) = match step {
                                Step::Read { after, single } => (after, single),
                                Step::Prepare | Step::Wait(_) | Step::Send | Step::Finish => (0, true),
                            };
                            redelivery.read(after, context);
                            let many = if single { 1 } else { 3 };
                            let found: Vec<i64> =
                                parked.iter().copied().filter(|position| *position > after).take(many).collect();
                            redelivery.page(found.len(), found.last().copied().unwrap_or(0));
                            page = found;
                        }
                        Step::Send => {
                            in_flight.push(page[redelivery.next().unwrap()]);
                            redelivery.advance(1);
                        }
                        Step::Finish => {
                            prop_assert!(parked.is_empty() && in_flight.is_empty(), "left behind: {parked:?}");
                            finished = true;
                        }
                    },
                }
            }
            prop_assert!(finished, "it never ends: {parked:?}, {in_flight:?}");
            prop_assert_eq!(log, (1..next_position).collect::<Vec<_>>());
        }
    }
}
