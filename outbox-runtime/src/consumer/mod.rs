//! A Kafka consumer that processes each message once, by means of the inbox.
//!
//! `kafka` is one thread that polls: it fills a queue for each partition and commits offsets. Each partition
//! has a `worker` that passes one message after another to its `handler`, in one transaction with the inbox
//! (`handling`), and reports its progress. `failure` decides what an error means: wait, retry, or store the
//! message in the `dead_letters`. Offsets are committed only after transactions, so a redelivered message
//! finds its row in the inbox.

mod assignment;
mod builder;
mod config;
mod dead_letters;
mod error;
mod failure;
mod handler;
mod handling;
mod kafka;
mod progress;
mod queue;
mod running;
mod spans;
mod unknown;
mod worker;

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use builder::ConsumerBuilder;
pub use config::{ConsumerConfig, UnknownTypes};
pub use dead_letters::{DeadLetters, Replayed};
pub use error::{ConsumerError, ConsumerErrorKind};
pub use failure::{Poison, Unavailable};
pub use handler::MessageHandler;
pub use progress::{ConsumerProgress, ConsumerReport};
pub use running::RunningConsumer;

use self::handling::Handling;
use self::kafka::Client;
use crate::database::OutboxDatabase;
#[cfg(feature = "testkit")]
use crate::inbox::InboxMessage;
use crate::outbox::Outbox;
use crate::schema::SchemaDatabase;

/// Reads topics of Kafka and runs an idempotent handler for each message.
///
/// A handler runs in a transaction in which the inbox records that its message is processed. The offset is
/// committed to Kafka after that. A message that is redelivered after a crash or a rebalance, or that its
/// producer sent twice, is recognized and skipped.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct SpellcheckRequestedV1 { essay_id: String }
/// # #[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
/// # #[outbox(topic = "essay.spellcheck.completed.v1", aggregate = "essay", key = essay_id)]
/// # struct SpellcheckCompletedV1 { essay_id: String }
/// # type Error = Box<dyn std::error::Error + Send + Sync>;
/// # async fn start(pool: sqlx::PgPool) -> Result<(), Error> {
/// use outbox_runtime::{Consumer, Outbox};
///
/// let outbox = Outbox::new(pool);
/// let consumer = Consumer::builder(&outbox, "localhost:9092", "spellcheck")
///     .topic("essay.spellcheck.requested.v1")
///     .on("SpellcheckRequestedV1", async |tx, _message, event: SpellcheckRequestedV1| {
///         sqlx::query("UPDATE essays SET checked = true WHERE id = $1")
///             .bind(&event.essay_id)
///             .execute(&mut **tx)
///             .await?;
///         tx.emit(SpellcheckCompletedV1 { essay_id: event.essay_id })?;
///         Ok::<_, Error>(())
///     })
///     .build()?
///     .spawn();
///
/// // … until the service ends …
///
/// consumer.stop().await?;
/// # Ok(()) }
/// ```
///
/// Any number of consumers of one group share the partitions. Messages of one partition, and therefore of one
/// key, are handled one after another in their order; partitions are handled concurrently.
pub struct Consumer<DB: OutboxDatabase> {
    handling: Arc<Handling<DB>>,
    client: Client,
}

impl<DB: OutboxDatabase + SchemaDatabase> Consumer<DB> {
    /// Builds a consumer of this group. The group's name is also its name in the inbox, so a renamed group
    /// processes earlier messages again.
    pub fn builder(
        outbox: &Outbox<DB>,
        brokers: impl Into<String>,
        group: impl Into<String>,
    ) -> ConsumerBuilder<DB> {
        ConsumerBuilder::new(outbox.clone(), brokers.into(), group.into())
    }

    /// Runs until `shutdown` is cancelled. Then it starts no new handlers, waits for running ones for at most
    /// [`shutdown_timeout`](ConsumerConfig::shutdown_timeout), commits its offsets and leaves the group.
    /// Outages are retried indefinitely, also at the start.
    ///
    /// Dropping the future instead has the effect of a crash: messages are redelivered and recognized, so no
    /// data is lost.
    ///
    /// # Errors
    /// Permanent failures: the tables are missing or have another version, or Kafka permanently refuses this
    /// member. No message is lost.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<ConsumerReport, ConsumerError> {
        kafka::run(&self.client, &self.handling, shutdown).await
    }

    /// Runs the consumer in its own task.
    pub fn spawn(self) -> RunningConsumer {
        RunningConsumer::start(self)
    }
}

impl<DB: OutboxDatabase> Consumer<DB> {
    /// Counters of the running consumer.
    pub fn progress(&self) -> ConsumerProgress {
        self.handling.progress.clone()
    }

    /// Handles a message as if Kafka had delivered it, with retries and dead letters, for tests without a
    /// broker.
    ///
    /// Cancel safe: if the future is dropped before it ends, the message counts as not handled.
    #[cfg(feature = "testkit")]
    pub async fn deliver(&self, message: &InboxMessage) {
        // A stop that nobody asks for.
        let _ = self.handling.handle(message, &CancellationToken::new()).await;
    }

    /// The topics of this consumer.
    #[cfg(feature = "testkit")]
    pub fn topics(&self) -> &[String] {
        self.client.topics()
    }

    /// The dead letters of this group.
    pub fn dead_letters(&self) -> DeadLetters<DB> {
        DeadLetters::new(Arc::clone(&self.handling))
    }
}

impl<DB: OutboxDatabase> fmt::Debug for Consumer<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.handling.consumer)
            .field("topics", &self.client.topics())
            .finish_non_exhaustive()
    }
}
