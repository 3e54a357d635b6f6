//! Exactly-once delivery to Kafka: two transactional producers for all topics of a log, which take turns.
//!
//! After a commit, the broker writes the end of the transaction into each partition, and refuses the first record of the
//! producer's next transaction until it is through. Meanwhile the other producer sends. A transaction begins only once the
//! one before it is committed, so a log's transactions, and the cursors in them, stand in their order.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::names::TopicNames;
use super::route::LARGEST_BATCH;
use super::topics::Topics;
use super::transactional_producer::{TransactionalProducer, closed};
use super::{closing, cursor, cursor_topic, record};
use crate::librdkafka::Clients;
use crate::publisher::{
    BrokerCursor, Prepared, PublishError, PublishErrorKind, SettlementQueue, Ticket, Transactions,
    Uncommitted,
};
use crate::record::{OutboxRecord, WireOptions};

/// The ticket of the cursor's own record.
const CURSOR: Ticket = Ticket::MAX;

/// Producers that take turns.
const PRODUCERS: usize = 2;

/// Where a log's cursor is kept, and under which name it is written.
#[derive(Clone)]
pub(super) struct Cursors {
    pub(super) topic: String,
    pub(super) transactional_id_prefix: String,
}

impl Cursors {
    /// Of each producer.
    fn transactional_ids(&self, log_id: Uuid) -> [String; PRODUCERS] {
        let first = format!("{}{log_id}", self.transactional_id_prefix);
        let second = format!("{first}-2");
        [first, second]
    }
}

/// Sends the records of one log to Kafka in transactions.
pub(super) struct KafkaTransactions {
    client: Clients,
    names: TopicNames,
    topics: Topics,
    cursors: Cursors,
    compresses: bool,
    /// At or below the limit of each topic that is known, so that a record which is too large takes no neighbour along.
    batch_size: usize,
    open: Option<Open>,
}

struct Open {
    producers: [TransactionalProducer; PRODUCERS],
    /// The one whose transaction is the last that was begun.
    current: usize,
    settlements: SettlementQueue,
    batch_size: usize,
    /// The cursor's key.
    log_id: String,
}

impl KafkaTransactions {
    pub(super) fn new(
        client: Clients,
        names: TopicNames,
        topics: Topics,
        cursors: Cursors,
        compresses: bool,
    ) -> Self {
        Self {
            client,
            names,
            topics,
            cursors,
            compresses,
            batch_size: LARGEST_BATCH,
            open: None,
        }
    }

    /// Becomes the only one that may commit for this log. Whoever was it before may have one transaction under way, by either
    /// of its producers, and begins no other one unless that is committed. When both producers have fenced theirs, the last
    /// transaction of the log is committed or aborted for good.
    async fn become_the_one(&mut self, log_id: Uuid) -> Result<Open, PublishError> {
        let settlements = SettlementQueue::new();
        let start = |id| TransactionalProducer::start(&self.client, self.batch_size, id, settlements.clone());
        let [first, second] = self.cursors.transactional_ids(log_id);
        let producers = [start(first)?, start(second)?];
        let topic = &self.cursors.topic;
        let (first, second) =
            tokio::join!(producers[0].fence_others(topic), producers[1].fence_others(topic));
        let opened = Open {
            producers,
            current: 0,
            settlements,
            batch_size: self.batch_size,
            log_id: log_id.to_string(),
        };
        match first.and(second) {
            Ok(()) => Ok(opened),
            Err(error) => {
                opened.close().await;
                Err(error.explained(&self.client).await)
            }
        }
    }

    async fn reopen(&mut self, log_id: Uuid, create: bool) -> Result<Option<BrokerCursor>, PublishError> {
        self.let_go().await;
        let (client, topic) = (self.client.clone(), self.cursors.topic.clone());
        // Whoever cannot become the one says so without waiting for the topic.
        let reader = async { Ok(cursor_topic::open(&client, &topic, create).await) };
        let (opened, reader) = tokio::try_join!(self.become_the_one(log_id), reader)?;
        let key = opened.log_id.clone();
        self.open = Some(opened);
        match reader? {
            Some(reader) => reader.last(key).await,
            None => Ok(None),
        }
    }

    async fn let_go(&mut self) {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
    }

    async fn look_up(&mut self, topic: &str) -> Result<Prepared, PublishError> {
        let topic = self.names.of(topic);
        record::check_topic(topic)?;
        let route = self.topics.look_up_or_create(topic).await?;
        self.batch_size = self.batch_size.min(route.batch_size);
        self.topics.remember(topic, route);
        let smaller = self
            .open
            .as_ref()
            .is_some_and(|open| open.batch_size > self.batch_size);
        Ok(match smaller {
            true => Prepared::OpenAgain,
            false => Prepared::Ready,
        })
    }

    async fn finish(&mut self, cursor: &BrokerCursor) -> Result<(), Uncommitted> {
        let open = self.open.as_ref().ok_or_else(|| Uncommitted::Broken(closed()))?;
        open.send_cursor(&self.cursors.topic, cursor)
            .map_err(Uncommitted::Broken)?;
        open.settlements.drained().await;
        let mut settled = Vec::new();
        open.settlements.next(&mut settled).await;
        settled.retain(|settlement| settlement.result.is_err());
        if !settled.is_empty() {
            return Err(Uncommitted::Records(settled));
        }
        open.current().commit().await.map_err(Uncommitted::Broken)
    }

    async fn take_back(&mut self) -> Result<(), PublishError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        open.current().abort().await?;
        // What was not sent is settled by that.
        open.settlements.drained().await;
        let _ = open.settlements.next(&mut Vec::new()).now_or_never();
        Ok(())
    }
}

impl Drop for KafkaTransactions {
    fn drop(&mut self) {
        let mut clients = self.open.take().map(Open::into_clients).unwrap_or_default();
        if let Some(admin) = self.topics.forget() {
            clients.push(Box::new(admin));
        }
        closing::drop_in_time(clients);
    }
}

impl Open {
    fn current(&self) -> &TransactionalProducer {
        &self.producers[self.current]
    }

    /// Begins a transaction of the other producer.
    fn begin(&mut self) -> Result<(), PublishError> {
        self.current = (self.current + 1) % PRODUCERS;
        self.current().begin()
    }

    fn send_cursor(&self, topic: &str, cursor: &BrokerCursor) -> Result<(), PublishError> {
        let value = serde_json::to_vec(cursor).map_err(|error| {
            let what = "the cursor cannot be written as JSON";
            PublishError::new(PublishErrorKind::Fatal, what).with_source(error)
        })?;
        self.settlements.handing_over();
        self.current()
            .send_to(topic, cursor::PARTITION, &self.log_id, &value, CURSOR)
            .inspect_err(|_| self.settlements.refused())
    }

    fn into_clients(self) -> Vec<closing::AnyClient> {
        let clients = self.producers.into_iter();
        clients
            .map(|producer| Box::new(producer) as closing::AnyClient)
            .collect()
    }

    /// Dropping a producer may take half a second.
    async fn close(self) {
        let clients = self.into_clients();
        let _ = tokio::task::spawn_blocking(move || closing::drop_in_time(clients)).await;
    }
}

impl Transactions for KafkaTransactions {
    fn open(
        &mut self,
        log_id: Uuid,
        create: bool,
    ) -> BoxFuture<'_, Result<Option<BrokerCursor>, PublishError>> {
        self.reopen(log_id, create).boxed()
    }

    fn cluster(&self) -> Option<String> {
        self.open.as_ref()?.current().cluster(Duration::ZERO)
    }

    fn announce(&mut self, topics: &BTreeSet<&str>) {
        for topic in topics {
            self.topics.announce(self.names.of(topic));
        }
    }

    fn is_announced(&self, topic: &str) -> bool {
        let topic = self.names.known(topic);
        topic.is_some_and(|topic| self.topics.is_announced(topic))
    }

    fn prepare<'a>(&'a mut self, topic: &'a str) -> BoxFuture<'a, Result<Prepared, PublishError>> {
        self.look_up(topic).boxed()
    }

    fn begin(&mut self) -> Result<(), PublishError> {
        self.open.as_mut().ok_or_else(closed)?.begin()
    }

    fn send(
        &mut self,
        ticket: Ticket,
        record: &OutboxRecord<'_>,
        wire: &WireOptions,
    ) -> Result<(), PublishError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        let record = &OutboxRecord {
            topic: self.names.of(record.topic),
            ..*record
        };
        record::check_topic(record.topic)?;
        let Some(route) = self.topics.usable(record.topic) else {
            let what = "the topic's settings are not known";
            return Err(PublishError::new(PublishErrorKind::Unprepared, what));
        };
        let prepared = record::Prepared::new(record, wire)?;
        prepared.check(record, route, self.compresses)?;
        open.settlements.handing_over();
        open.current()
            .send(ticket, record, prepared)
            .inspect_err(|_| open.settlements.refused())
    }

    fn commit<'a>(&'a mut self, cursor: &'a BrokerCursor) -> BoxFuture<'a, Result<(), Uncommitted>> {
        self.finish(cursor).boxed()
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<(), PublishError>> {
        self.take_back().boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.let_go().boxed()
    }
}
