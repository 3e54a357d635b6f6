//! Builds a consumer, and validates its configuration before anything is consumed.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::handler::{Handlers, MessageHandler, Of};
use super::handling::Handling;
use super::kafka::{Client, HeaderNames, Subscription};
use super::{Consumer, ConsumerConfig, ConsumerError};
use crate::database::OutboxDatabase;
use crate::event::topic;
use crate::inbox::InboxMessage;
use crate::librdkafka::TokenProvider;
use crate::metrics::ClientMetrics;
use crate::outbox::Outbox;
use crate::transaction::{OutboxTx, RetryableError};

/// Builds a [`Consumer`].
#[must_use]
pub struct ConsumerBuilder<DB: OutboxDatabase> {
    outbox: Outbox<DB>,
    brokers: String,
    group: String,
    topics: Vec<String>,
    topic_prefix: String,
    patterns: Vec<String>,
    headers: HeaderNames,
    properties: Vec<(String, String)>,
    tokens: Option<TokenProvider>,
    handlers: Handlers<DB>,
    config: ConsumerConfig,
}

impl<DB: OutboxDatabase> ConsumerBuilder<DB> {
    pub(super) fn new(outbox: Outbox<DB>, brokers: String, group: String) -> Self {
        Self {
            outbox,
            brokers,
            group,
            topics: Vec::new(),
            topic_prefix: String::new(),
            patterns: Vec::new(),
            headers: HeaderNames::default(),
            properties: Vec::new(),
            tokens: None,
            handlers: Handlers::new(),
            config: ConsumerConfig::default(),
        }
    }

    /// Adds a topic to read. If it does not exist yet, the consumer waits for it.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Adds all topics whose whole names match a POSIX extended regular expression, such as `shop\\..*\\.v1`.
    /// New topics are found within `topic.metadata.refresh.interval.ms` (default: 5 minutes).
    pub fn topic_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Prefix of the topics' names in the cluster, such as `dev.`, as
    /// [`KafkaPublisherBuilder::topic_prefix`](crate::KafkaPublisherBuilder::topic_prefix) adds it. Default: none.
    /// [`InboxMessage::topic`] contains it.
    pub fn topic_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.topic_prefix = prefix.into();
        self
    }

    /// Handles messages of this type (`ce_type`, such as `OrderPlacedV1`), whose value is JSON.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Consumer, InboxMessage, Outbox, OutboxTx, consumer::ConsumerError};
    /// # use sqlx::Postgres;
    /// # #[derive(serde::Deserialize)] struct OrderPlacedV1 { order_id: i64 }
    /// # fn example(outbox: Outbox<Postgres>) -> Result<(), ConsumerError> {
    /// async fn invoice(
    ///     tx: &mut OutboxTx<'_, Postgres>,
    ///     _message: &InboxMessage,
    ///     event: OrderPlacedV1,
    /// ) -> Result<(), sqlx::Error> {
    ///     let insert = sqlx::query("INSERT INTO invoices (order_id) VALUES ($1)").bind(event.order_id);
    ///     insert.execute(&mut **tx).await.map(|_| ())
    /// }
    ///
    /// let consumer = Consumer::builder(&outbox, "localhost:9092", "billing")
    ///     .topic("shop.order.placed.v1")
    ///     .on("OrderPlacedV1", invoice)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// The transaction commits if the handler returns `Ok`, and rolls back if it returns `Err` or panics. The
    /// error determines what happens next:
    ///
    /// - an unavailable database or connection, a serialization failure, or
    ///   [`Unavailable`](super::Unavailable): retried indefinitely, with pauses;
    /// - [`Poison`](super::Poison), or a value that cannot be decoded: dead-lettered at once;
    /// - any other error, or a panic: retried, up to [`max_attempts`](ConsumerConfig::max_attempts) attempts,
    ///   then dead-lettered.
    ///
    /// The rest of the partition waits meanwhile, so that the order is kept. A handler has no time limit. A
    /// slow handler is logged, and delays only its own partition.
    pub fn on<E, Err, M, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        F: AsyncFnOnce(&mut OutboxTx<'static, DB>, &InboxMessage, E) -> Result<(), Err>
            + for<'a> MessageHandler<'a, DB, E, Err>
            + Clone
            + Send
            + Sync
            + 'static,
        E: DeserializeOwned + Send + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.handlers.add(Of::Type(event_type.into()), handler);
        self
    }

    /// Like [`on`](Self::on), for messages that the handler decodes itself, such as tombstones and formats
    /// other than JSON. The last argument of the handler is always `()`.
    pub fn on_message<Err, M, F>(mut self, event_type: impl Into<String>, handler: F) -> Self
    where
        F: AsyncFnOnce(&mut OutboxTx<'static, DB>, &InboxMessage, ()) -> Result<(), Err>
            + for<'a> MessageHandler<'a, DB, (), Err>
            + Clone
            + Send
            + Sync
            + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.handlers.add_raw(Of::Type(event_type.into()), handler);
        self
    }

    /// Adds a topic of another system, and handles its messages whose type has no other handler, with any
    /// headers. The value is JSON.
    ///
    /// ```no_run
    /// # use outbox_runtime::{Consumer, InboxMessage, Outbox, OutboxTx, consumer::ConsumerError};
    /// # use sqlx::Postgres;
    /// # #[derive(serde::Deserialize)] struct Payment { order_id: i64 }
    /// # fn example(outbox: Outbox<Postgres>) -> Result<(), ConsumerError> {
    /// let consumer = Consumer::builder(&outbox, "localhost:9092", "billing")
    ///     .on_topic("legacy.payments", async |tx: &mut OutboxTx<'_, Postgres>, _: &InboxMessage, payment: Payment| {
    ///         let update = sqlx::query("UPDATE orders SET paid = true WHERE id = $1").bind(payment.order_id);
    ///         update.execute(&mut **tx).await.map(|_| ())
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// A message without `ce_id` is recognized by its position in Kafka; see [`InboxMessage`], and
    /// [`id_header`](Self::id_header) for messages with an id in another header.
    pub fn on_topic<E, Err, M, F>(mut self, topic: impl Into<String>, handler: F) -> Self
    where
        F: AsyncFnOnce(&mut OutboxTx<'static, DB>, &InboxMessage, E) -> Result<(), Err>
            + for<'a> MessageHandler<'a, DB, E, Err>
            + Clone
            + Send
            + Sync
            + 'static,
        E: DeserializeOwned + Send + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.handlers.add(Of::Topic(topic.into()), handler);
        self
    }

    /// Like [`on_topic`](Self::on_topic), for messages that the handler decodes itself, such as tombstones and formats
    /// other than JSON. The last argument of the handler is always `()`.
    pub fn on_topic_message<Err, M, F>(mut self, topic: impl Into<String>, handler: F) -> Self
    where
        F: AsyncFnOnce(&mut OutboxTx<'static, DB>, &InboxMessage, ()) -> Result<(), Err>
            + for<'a> MessageHandler<'a, DB, (), Err>
            + Clone
            + Send
            + Sync
            + 'static,
        Err: RetryableError<M> + 'static,
    {
        self.handlers.add_raw(Of::Topic(topic.into()), handler);
        self
    }

    /// Header that contains the type of messages without `ce_type`, such as `eventType` of Debezium's outbox
    /// event router. Not needed for CloudEvents in binary or structured mode.
    pub fn type_header(mut self, name: impl Into<String>) -> Self {
        self.headers.event_type = Some(name.into());
        self
    }

    /// Header that contains the unique id of messages without `ce_id`, such as `id` of Debezium's outbox event router.
    pub fn id_header(mut self, name: impl Into<String>) -> Self {
        self.headers.id = Some(name.into());
        self
    }

    /// Sets a property of librdkafka, such as `group.instance.id`. [`build`](Self::build) refuses properties
    /// that would break a guarantee.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// Authenticates with SASL/OAUTHBEARER and tokens of this provider. Sets `security.protocol` to
    /// `sasl_ssl`, unless a property sets it.
    pub fn token_provider(mut self, tokens: TokenProvider) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Sets the configuration.
    pub fn config(mut self, config: ConsumerConfig) -> Self {
        self.config = config;
        self
    }

    /// Checks the settings. Does not connect, so an outage is not an error.
    ///
    /// # Errors
    /// [`ConsumerErrorKind::Configuration`](super::ConsumerErrorKind::Configuration), with what is wrong.
    pub fn build(self) -> Result<Consumer<DB>, ConsumerError> {
        let wrong = |says: String| Err(ConsumerError::configuration(says));
        if self.group.is_empty() || self.group.len() > 255 || self.group.contains('\0') {
            return wrong("the group's name must have 1 to 255 bytes and no NUL".to_owned());
        }
        let topics = self.names_and_patterns()?;
        if let Some(doubled) = self.handlers.doubled.first() {
            return wrong(format!("`{doubled}` has two handlers: remove one"));
        }
        if self.handlers.is_empty() {
            return wrong("no handler is registered: add one with `.on(\"…\", …)`".to_owned());
        }
        self.config.check()?;
        let headers = self.headers;
        let subscription = Subscription { topics, headers };
        let client = Client::new(
            &self.brokers,
            &self.group,
            ClientMetrics::of_consumer(self.outbox.metrics().log(), &self.group),
            subscription,
            &self.properties,
            self.tokens,
        )?;
        let handlers = self.handlers.with_topic_prefix(&self.topic_prefix);
        Ok(Consumer {
            handling: Arc::new(Handling::new(self.outbox, self.group, handlers, self.config)),
            client,
        })
    }

    /// What is subscribed to: names, and patterns that begin with `^`.
    fn names_and_patterns(&self) -> Result<Vec<String>, ConsumerError> {
        let wrong = |says: String| Err(ConsumerError::configuration(says));
        let mut topics: Vec<String> = self
            .topics
            .iter()
            .chain(self.handlers.topics())
            .cloned()
            .collect();
        topics.sort();
        topics.dedup();
        for topic in &mut topics {
            topic.insert_str(0, &self.topic_prefix);
        }
        let fault = |topic: &String| topic::fault(topic).map(|fault| (topic.clone(), fault));
        if let Some((topic, fault)) = topics.iter().find_map(fault) {
            return wrong(format!("Kafka refuses the topic {topic:?}: {fault}"));
        }
        let prefix = self.topic_prefix.replace('.', r"\.");
        topics.extend(
            self.patterns
                .iter()
                .map(|pattern| format!("^{prefix}({pattern})$")),
        );
        if topics.is_empty() {
            return wrong("no topic is given: add one with `.topic(\"…\")`".to_owned());
        }
        Ok(topics)
    }
}

impl<DB: OutboxDatabase> std::fmt::Debug for ConsumerBuilder<DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The properties' values may hold a password.
        let keys: Vec<_> = self.properties.iter().map(|(key, _)| key).collect();
        f.debug_struct("ConsumerBuilder")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("properties", &keys)
            .finish_non_exhaustive()
    }
}
