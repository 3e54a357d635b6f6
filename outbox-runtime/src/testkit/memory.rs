//! A broker in memory, for tests of what is above it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::publisher::{PublishError, PublishErrorKind, Publisher, Settlement, SettlementQueue, Ticket};
use crate::record::{OutboxRecord, WireOptions, rules};

/// A record that the broker has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRecord {
    /// The event id.
    pub id: Uuid,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// All headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The timestamp in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// A broker in memory. Clones share the broker, so a test can keep one to inspect it and to make it fail.
#[derive(Debug, Clone, Default)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<MemoryRecord>,
    sent: Vec<(Ticket, Uuid)>,
    failures: HashMap<Uuid, VecDeque<PublishErrorKind>>,
    refusals: HashMap<Uuid, VecDeque<PublishErrorKind>>,
    unprepared: HashMap<String, VecDeque<PublishErrorKind>>,
    /// Topics that are not there.
    missing: HashSet<String>,
    /// Topics that may not be written to.
    forbidden: HashSet<String>,
    held: bool,
    /// Topics whose records are neither taken nor refused.
    held_topics: HashSet<String>,
    waiting: VecDeque<Waiting>,
    publishers: usize,
    acknowledges_early: bool,
}

/// A record that was handed over and not taken.
#[derive(Debug)]
struct Waiting {
    publisher: usize,
    settlements: SettlementQueue,
    ticket: Ticket,
    record: MemoryRecord,
}

impl MemoryBroker {
    /// An empty broker.
    pub fn new() -> Self {
        Self::default()
    }

    /// A publisher for this broker.
    pub fn publisher(&self) -> MemoryPublisher {
        let mut state = self.state();
        state.publishers += 1;
        MemoryPublisher {
            broker: self.clone(),
            number: state.publishers,
            settlements: SettlementQueue::new(),
        }
    }

    /// All records, in the order of the log.
    pub fn log(&self) -> Vec<MemoryRecord> {
        self.state().log.clone()
    }

    /// The ids of all records, in the order of the log.
    pub fn ids(&self) -> Vec<Uuid> {
        self.state().log.iter().map(|record| record.id).collect()
    }

    /// Makes the broker refuse this event once with this error, after it was sent. Repeat for more refusals.
    pub fn fail(&self, id: Uuid, kind: PublishErrorKind) {
        self.state().failures.entry(id).or_default().push_back(kind);
    }

    /// Makes `send` refuse this event once with this error.
    pub fn refuse(&self, id: Uuid, kind: PublishErrorKind) {
        self.state().refusals.entry(id).or_default().push_back(kind);
    }

    /// Makes preparing this topic fail once with this error. Repeat for more failures.
    pub fn fail_to_prepare(&self, topic: &str, kind: PublishErrorKind) {
        self.state()
            .unprepared
            .entry(topic.to_owned())
            .or_default()
            .push_back(kind);
    }

    /// Makes the broker hang: it accepts and acknowledges nothing until [`release`](Self::release).
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Ends [`hold`](Self::hold) and [`hold_topic`](Self::hold_topic) and processes the waiting records.
    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        state.held_topics.clear();
        let waiting = std::mem::take(&mut state.waiting);
        for Waiting {
            settlements,
            ticket,
            record,
            ..
        } in waiting
        {
            state.take(&settlements, ticket, record);
        }
    }

    /// Makes this topic accept and acknowledge nothing, as without a leader, until [`release`](Self::release).
    pub fn hold_topic(&self, topic: &str) {
        self.state().held_topics.insert(topic.to_owned());
    }

    /// Makes preparing this topic fail, as if it were deleted, until [`mend_topic`](Self::mend_topic).
    pub fn lose_topic(&self, topic: &str) {
        self.state().missing.insert(topic.to_owned());
    }

    /// Makes the broker refuse records of this topic after they were sent, as without the right to write, until
    /// [`mend_topic`](Self::mend_topic).
    pub fn forbid_topic(&self, topic: &str) {
        self.state().forbidden.insert(topic.to_owned());
    }

    /// Makes this topic accept records again.
    pub fn mend_topic(&self, topic: &str) {
        let mut state = self.state();
        state.missing.remove(topic);
        state.forbidden.remove(topic);
    }

    /// Number of records that wait because of [`hold`](Self::hold).
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Number of records sent so far, including those that failed later.
    pub fn sent(&self) -> usize {
        self.state().sent.len()
    }

    /// Makes the broker acknowledge records that it holds and then loses, like a publisher that takes
    /// "queued" for "sent". For tests of checkers.
    pub fn acknowledge_before_delivery(&self) {
        self.state().acknowledges_early = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, settlements: &SettlementQueue, ticket: Ticket, record: MemoryRecord) {
        let forbidden = self
            .forbidden
            .contains(&record.topic)
            .then_some(PublishErrorKind::Topic);
        let failure = forbidden.or_else(|| self.failures.get_mut(&record.id).and_then(VecDeque::pop_front));
        let result = match failure {
            Some(kind) => Err(Box::new(PublishError::new(
                kind,
                "a failure that the test asked for",
            ))),
            None => {
                self.log.push(record);
                Ok(())
            }
        };
        settlements.settle(ticket, result);
    }
}

/// Sends records to a [`MemoryBroker`].
#[derive(Debug)]
pub struct MemoryPublisher {
    broker: MemoryBroker,
    number: usize,
    settlements: SettlementQueue,
}

impl Publisher for MemoryPublisher {
    fn start(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    async fn prepare(&mut self, topic: &str) -> Result<(), PublishError> {
        let mut state = self.broker.state();
        if state.missing.contains(topic) {
            return Err(PublishError::new(
                PublishErrorKind::Topic,
                "the topic is not there",
            ));
        }
        let failure = state.unprepared.get_mut(topic).and_then(VecDeque::pop_front);
        match failure {
            Some(kind) => Err(PublishError::new(kind, "a failure that the test asked for")),
            None => {
                state.unprepared.remove(topic);
                Ok(())
            }
        }
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        if let Some((reason, says)) = rules::fault(record) {
            return Err(PublishError::new(PublishErrorKind::Record(reason), says));
        }
        let mut headers = Vec::new();
        wire.headers(record, |name, value| {
            headers.push((name.to_owned(), value.map(<[u8]>::to_vec)))
        })
        .map_err(|error| PublishError::new(PublishErrorKind::Record("invalid_headers"), error.to_string()))?;
        if record.topic.is_empty() || record.topic.contains(char::is_whitespace) {
            return Err(PublishError::new(
                PublishErrorKind::Record("invalid_topic"),
                "the topic's name is not legal",
            ));
        }
        let mut state = self.broker.state();
        if state.unprepared.contains_key(record.topic) || state.missing.contains(record.topic) {
            return Err(PublishError::new(
                PublishErrorKind::Unprepared,
                "the topic is not prepared",
            ));
        }
        if let Some(kind) = state.refusals.get_mut(&record.id).and_then(VecDeque::pop_front) {
            return Err(PublishError::new(kind, "a refusal that the test asked for"));
        }
        let record = MemoryRecord {
            id: record.id,
            topic: record.topic.to_owned(),
            key: record.key.to_owned(),
            value: record.payload.map(<[u8]>::to_vec),
            headers,
            timestamp_ms: record.occurred_at_ms,
        };
        self.settlements.handing_over();
        state.sent.push((ticket, record.id));
        if state.acknowledges_early && state.held {
            self.settlements.settle(ticket, Ok(()));
        } else if state.held || state.held_topics.contains(&record.topic) {
            let settlements = self.settlements.clone();
            state.waiting.push_back(Waiting {
                publisher: self.number,
                settlements,
                ticket,
                record,
            });
        } else {
            state.take(&self.settlements, ticket, record);
        }
        Ok(())
    }

    async fn settled(&mut self, into: &mut Vec<Settlement>) {
        self.settlements.next(into).await;
    }

    fn withdraw(&mut self) {
        let mut state = self.broker.state();
        let waiting = std::mem::take(&mut state.waiting);
        let (mine, others): (VecDeque<_>, VecDeque<_>) = waiting
            .into_iter()
            .partition(|waiting| waiting.publisher == self.number);
        state.waiting = others;
        drop(state);
        for waiting in mine {
            let error = PublishError::new(PublishErrorKind::Withdrawn, "taken back before it was sent");
            self.settlements.settle(waiting.ticket, Err(Box::new(error)));
        }
    }

    async fn answers(&mut self) -> bool {
        !self.broker.state().held
    }

    async fn rebuild(&mut self) -> Result<(), PublishError> {
        self.withdraw();
        Ok(())
    }
}
