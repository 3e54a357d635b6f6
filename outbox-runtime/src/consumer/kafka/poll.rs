//! The thread that polls Kafka: it never waits for a handler, so the group never takes this member for dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::commits;
use super::rebalance::Rebalances;
use super::{Client, Subscription};
use crate::consumer::assignment::{Assignment, Place, finish};
use crate::consumer::handling::Handling;
use crate::consumer::spans;
use crate::consumer::worker::Worker;
use crate::consumer::{ConsumerError, ConsumerErrorKind};
use crate::database::OutboxDatabase;
use crate::inbox::InboxMessage;
use crate::librdkafka::{Connected, Right};

/// How long a poll waits for a message; a stop is noticed after that.
const POLL: Duration = Duration::from_millis(20);

/// How often everything is committed again: nobody says whether the last commit arrived.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// Minimum interval between two warnings of the same kind.
const WORTH_A_WORD: Duration = Duration::from_secs(10);

pub(super) struct Poll<DB: OutboxDatabase> {
    consumer: Connected<BaseConsumer<Rebalances>>,
    assignment: Arc<Mutex<Assignment>>,
    handling: Arc<Handling<DB>>,
    runtime: Handle,
    stop: CancellationToken,
    subscription: Subscription,
    last_commit: Instant,
    /// When the positions of all partitions were committed, those too that had not moved.
    last_whole_commit: Instant,
    last_word: Option<Instant>,
}

impl<DB: OutboxDatabase> Poll<DB> {
    pub(super) fn new(
        client: &Client,
        handling: Arc<Handling<DB>>,
        stop: CancellationToken,
    ) -> Result<Self, ConsumerError> {
        let assignment = Arc::new(Mutex::new(Assignment::default()));
        let rebalances = Rebalances {
            assignment: Arc::clone(&assignment),
            revoke_timeout: handling.config.revoke_timeout,
            statistics: client.config.statistics(),
        };
        let consumer = client.config.create_recording(rebalances).map_err(|error| {
            ConsumerError::new(
                ConsumerErrorKind::Refused,
                "the Kafka client could not be started",
            )
            .with_source(error)
        })?;
        Ok(Self {
            consumer,
            assignment,
            handling,
            runtime: Handle::current(),
            stop,
            subscription: client.subscription.clone(),
            last_commit: Instant::now(),
            last_whole_commit: Instant::now(),
            last_word: None,
        })
    }

    /// Polls until a stop, then commits and leaves the group.
    pub(super) fn run(mut self) -> Result<(), ConsumerError> {
        let topics: Vec<&str> = self.subscription.topics.iter().map(String::as_str).collect();
        let subscribed = self.consumer.subscribe(&topics);
        subscribed.map_err(|error| {
            ConsumerError::configuration("the topics cannot be subscribed to").with_source(error)
        })?;
        let ended = self.poll();
        self.finish();
        ended
    }

    fn poll(&mut self) -> Result<(), ConsumerError> {
        while !self.stop.is_cancelled() {
            let message = match self.consumer.poll(POLL) {
                Some(Ok(message)) => Some(self.subscription.headers.read(&message)),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let says = format!("Kafka refuses this member for good: {code}");
                    return Err(ConsumerError::new(ConsumerErrorKind::Refused, says));
                }
                Some(Err(error)) => {
                    self.warn(&error);
                    None
                }
                None => None,
            };
            if let Some(message) = message {
                self.deliver(message);
            }
            self.take_up_again();
            if self.last_commit.elapsed() >= self.handling.config.commit_interval {
                self.commit();
                self.look_for_the_dead()?;
            }
        }
        Ok(())
    }

    /// Puts a message into its partition's queue. If that is full then, the partition is paused: to wait here would
    /// hold up all other partitions, whose messages come behind.
    fn deliver(&mut self, message: InboxMessage) {
        let place = (message.topic().to_owned(), message.partition());
        let queue = {
            let mut assignment = lock(&self.assignment);
            let start = || Worker::start(&self.handling, &self.runtime);
            Arc::clone(&assignment.of(place.clone(), start).worker.queue)
        };
        let reception = spans::receive(&self.handling.consumer, &message);
        queue.push(message, reception);
        if !queue.is_full() {
            return;
        }
        match self.consumer.pause(&list([&place])) {
            Ok(()) => {
                let mut assignment = lock(&self.assignment);
                let found = assignment.iter_mut().find(|(other, _)| **other == place);
                if let Some((_, assigned)) = found {
                    assigned.paused = true;
                }
            }
            // It is tried again with the next message.
            Err(error) => tracing::debug!(%error, "a partition could not be paused"),
        }
    }

    /// Lets Kafka send again where there is room again.
    fn take_up_again(&self) {
        let mut assignment = lock(&self.assignment);
        for (place, assigned) in assignment.iter_mut() {
            if !assigned.paused || !assigned.worker.queue.has_room() {
                continue;
            }
            match self.consumer.resume(&list([place])) {
                Ok(()) => assigned.paused = false,
                Err(error) => tracing::debug!(%error, "a partition could not be resumed"),
            }
        }
    }

    /// Commits how far all partitions are, without waiting for the answer.
    fn commit(&mut self) {
        self.last_commit = Instant::now();
        let mut assignment = lock(&self.assignment);
        if self.last_whole_commit.elapsed() >= SAY_AGAIN {
            self.last_whole_commit = Instant::now();
            assignment.forget_commits();
        }
        let offsets = assignment.advance();
        drop(assignment);
        if !offsets.is_empty() {
            let _span = spans::commit(&self.handling.consumer, offsets.len()).entered();
            commits::send(&self.consumer, &offsets);
        }
    }

    /// A worker catches what its handlers do. One that has ended all the same would leave its partition without
    /// a word.
    fn look_for_the_dead(&self) -> Result<(), ConsumerError> {
        match lock(&self.assignment).dead() {
            None => Ok(()),
            Some((topic, partition)) => Err(ConsumerError::new(
                ConsumerErrorKind::Refused,
                format!("the worker of partition {partition} of `{topic}` has ended, as has its runtime"),
            )),
        }
    }

    /// The end: handlers that run come to theirs, and what they did is committed.
    fn finish(&mut self) {
        let leaving = lock(&self.assignment).take_all();
        let partitions: Vec<_> = leaving.iter().map(|(place, _)| place.clone()).collect();
        // Nothing new comes in meanwhile.
        if let Err(error) = self.consumer.pause(&list(&partitions)) {
            tracing::debug!(%error, "partitions could not be paused");
        }
        let offsets = finish(leaving, self.handling.config.shutdown_timeout);
        // Whoever waits for this thread waits until its deadline and a grace period.
        let _span = spans::commit(&self.handling.consumer, offsets.len()).entered();
        commits::send_and_wait(&self.consumer, &offsets);
    }

    /// Trouble that librdkafka heals by itself, or that an operator heals.
    fn warn(&mut self, error: &KafkaError) {
        if self.last_word.is_none_or(|word| word.elapsed() >= WORTH_A_WORD) {
            self.last_word = Some(Instant::now());
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            let group = Right::Group(&self.handling.consumer).lacking(code);
            let topics = Right::ReadTopic(&self.subscription.topics.join("`, `")).lacking(code);
            tracing::warn!(%error, "Kafka sends no records; waiting for it{group}{topics}");
        }
    }
}

pub(super) fn lock(assignment: &Mutex<Assignment>) -> std::sync::MutexGuard<'_, Assignment> {
    assignment.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Partitions in rdkafka's words.
pub(super) fn list<'a>(places: impl IntoIterator<Item = &'a Place>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in places {
        list.add_partition(topic, *partition);
    }
    list
}
