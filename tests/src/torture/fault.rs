//! A fault: its kind, what it falls on and how long it stays, drawn by a seed.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::kind::Kind;
use super::operators::Operation;
use super::relays::SLOTS;
use crate::proxy::Mode;
use crate::servers::KafkaCluster;

/// A fault.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) what: What,
    /// How long it stays.
    pub(super) lasts: Duration,
}

/// What a fault falls on.
#[derive(Debug, Clone)]
pub(super) enum What {
    Relay(usize),
    /// All relays, while so many transactions write.
    AllRelays(u32),
    /// A relay, armed with a place's name and the how manieth visit counts.
    Place(usize, &'static str, u32),
    /// A topic's number, and one of its partitions.
    Topic(usize, i32),
    Broker(usize),
    Path(Path, Mode),
    /// The last number that counts as given out; none is an empty sequence.
    Sequence(Option<i64>),
    Operation(Operation),
    Whole,
}

/// A way that connections take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    RelayToBroker(usize, usize),
    RelayToAllBrokers(usize),
    RelayToPostgres(usize),
    WritersToPostgres,
}

/// Places of the relay, and how often a leader term comes there before it is busy.
const PLACES: [(&str, u32); 7] = [
    ("produced", 300),
    ("acknowledged", 60),
    ("cursor_before", 8),
    ("cursor_after", 8),
    ("lease_taken", 1),
    ("cursor_claimed", 1),
    ("lease_released", 1),
];

/// The same in exactly-once delivery.
const PLACES_ONCE: [(&str, u32); 10] = [
    ("produced", 300),
    ("transaction_sent", 20),
    ("transaction_committed", 20),
    ("window_begun", 10),
    ("cursor_before", 8),
    ("cursor_after", 8),
    ("lease_taken", 1),
    ("cursor_claimed", 1),
    ("broker_cursor_read", 1),
    ("lease_released", 1),
];

/// What faults can fall on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) lease: Duration,
    pub(super) relays: usize,
    pub(super) topics: usize,
    pub(super) exactly_once: bool,
}

impl Fault {
    /// Draws one fault among `kinds`.
    pub(super) fn draw(random: &mut StdRng, kinds: &[Kind], field: Field) -> Self {
        let weights = WeightedIndex::new(kinds.iter().map(|kind| kind.weight())).expect("there are kinds");
        let kind = kinds[random.sample(&weights)];
        let slot = random.random_range(0..field.relays);
        debug_assert!(slot < SLOTS);
        let broker = random.random_range(0..KafkaCluster::SIZE);
        let lasts = kind.draw_duration(random, field.lease);
        let what = kind.draw_target(random, slot, broker, &field);
        Self { kind, what, lasts }
    }
}

impl Kind {
    fn draw_duration(self, random: &mut StdRng, lease: Duration) -> Duration {
        let mut between = |from: f64, to: f64| Duration::from_secs_f64(random.random_range(from..to));
        let lease = lease.as_secs_f64();
        match self {
            Self::RelayKilled | Self::RelayUpgraded => between(0.0, 0.5 * lease),
            Self::RelayPaused | Self::RelayPausedAtPlace => between(0.1, 3.0 * lease),
            Self::PostgresPaused | Self::PostgresKilled => between(0.0, 2.0 * lease),
            Self::PathCut | Self::PathStalled | Self::PathHalfOpen | Self::PathSlow => {
                between(0.2, 3.0 * lease)
            }
            Self::StatementsCancelled | Self::AnswersLost => between(0.2, lease),
            Self::SendingPaused | Self::SendingThrottled => between(0.3, 2.0 * lease),
            Self::LeaderKilled | Self::CursorLeaderKilled | Self::BrokerPaused | Self::TooFewInSync => {
                between(1.0, 6.0)
            }
            Self::AllBrokersKilled | Self::BrokerDiskFull | Self::PostgresDiskFull => between(0.5, 4.0),
            Self::TopicRecreated
            | Self::ConnectionsTerminated
            | Self::RelayKilledAtPlace
            | Self::RelaysKilledForLong
            | Self::RelaysStoppedForLong
            | Self::SequenceReset
            | Self::LogRewound
            | Self::MessagesSkipped => Duration::ZERO,
        }
    }

    fn draw_target(self, random: &mut StdRng, slot: usize, broker: usize, field: &Field) -> What {
        match self {
            Self::RelayKilled | Self::RelayPaused | Self::RelayUpgraded => What::Relay(slot),
            Self::RelaysKilledForLong | Self::RelaysStoppedForLong => {
                What::AllRelays(random.random_range(1_000..10_000))
            }
            Self::RelayKilledAtPlace | Self::RelayPausedAtPlace => {
                // One that stands still while it gives its lease back is distinguished from one that is gone by
                // nothing but time.
                let places = if field.exactly_once {
                    &PLACES_ONCE[..]
                } else {
                    &PLACES
                };
                let (place, visits) = *places.choose(random).expect("there are places");
                What::Place(slot, place, random.random_range(1..=visits))
            }
            Self::LeaderKilled | Self::TooFewInSync | Self::TopicRecreated => What::Topic(
                random.random_range(0..field.topics),
                random.random_range(0..super::scene::PARTITIONS),
            ),
            Self::BrokerPaused => What::Broker(broker),
            Self::BrokerDiskFull => What::Broker(0),
            Self::PathCut => What::Path(Path::draw(random, slot, broker), Mode::Cut),
            Self::PathStalled => What::Path(Path::draw(random, slot, broker), Mode::Stall),
            Self::PathHalfOpen => What::Path(Path::draw(random, slot, broker), Mode::HalfOpen),
            Self::AnswersLost => What::Path(Path::draw(random, slot, broker), Mode::LoseAnswers),
            Self::PathSlow => {
                let delay = Duration::from_millis(random.random_range(10..300));
                What::Path(Path::draw(random, slot, broker), Mode::Slow(delay))
            }
            Self::SequenceReset => What::Sequence(match random.random_range(0..3) {
                0 => None,
                _ => Some(random.random_range(1..2_000)),
            }),
            Self::LogRewound | Self::MessagesSkipped | Self::SendingPaused | Self::SendingThrottled => {
                What::Operation(Operation::draw(self, random))
            }
            Self::CursorLeaderKilled
            | Self::AllBrokersKilled
            | Self::PostgresDiskFull
            | Self::PostgresKilled
            | Self::PostgresPaused
            | Self::ConnectionsTerminated
            | Self::StatementsCancelled => What::Whole,
        }
    }
}

impl Path {
    fn draw(random: &mut StdRng, slot: usize, broker: usize) -> Self {
        match random.random_range(0..8) {
            0..=2 => Self::RelayToBroker(slot, broker),
            3 => Self::RelayToAllBrokers(slot),
            4..=6 => Self::RelayToPostgres(slot),
            _ => Self::WritersToPostgres,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, what, lasts } = self;
        write!(formatter, "{kind}")?;
        match what {
            What::Relay(slot) => write!(formatter, ", relay {slot}")?,
            What::AllRelays(transactions) => write!(formatter, ", {transactions} transactions")?,
            What::Place(slot, place, visit) => write!(formatter, ", relay {slot} at {place}, visit {visit}")?,
            What::Topic(topic, partition) => write!(formatter, ", topic {topic}, partition {partition}")?,
            What::Broker(broker) => write!(formatter, ", broker {}", broker + 1)?,
            What::Path(Path::RelayToBroker(slot, broker), mode) => {
                write!(formatter, ", relay {slot} to broker {}, {mode:?}", broker + 1)?;
            }
            What::Path(Path::RelayToAllBrokers(slot), mode) => {
                write!(formatter, ", relay {slot} to all brokers, {mode:?}")?;
            }
            What::Path(Path::RelayToPostgres(slot), mode) => {
                write!(formatter, ", relay {slot} to PostgreSQL, {mode:?}")?;
            }
            What::Path(Path::WritersToPostgres, mode) => {
                write!(formatter, ", writers to PostgreSQL, {mode:?}")?
            }
            What::Sequence(last) => write!(formatter, ", to {last:?}")?,
            What::Operation(operation) => write!(formatter, ", {operation}")?,
            What::Whole => {}
        }
        write!(formatter, ", {lasts:.1?}")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_all_kinds_are_drawn() {
        let draw = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let field = Field {
                lease: Duration::from_secs(1),
                relays: SLOTS,
                topics: 3,
                exactly_once: seed % 2 == 1,
            };
            let faults = (0..2000).map(|_| Fault::draw(&mut random, &Kind::ALL, field));
            faults.collect::<Vec<_>>()
        };
        let texts = |faults: &[Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        let faults = draw(1);
        assert_eq!(texts(&faults), texts(&draw(1)));
        assert_ne!(texts(&faults), texts(&draw(2)));
        for kind in Kind::ALL {
            assert!(
                faults.iter().any(|fault| fault.kind == kind),
                "{kind} was never drawn"
            );
        }
    }
}
