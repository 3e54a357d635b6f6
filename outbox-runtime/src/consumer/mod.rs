//! A Kafka consumer that processes each message once, by means of the inbox.
//!
//! `kafka` is one thread that polls: it fills a queue for each partition and commits offsets. Each partition has
//! a `worker` that takes one message after another to its `handler`, in one transaction with the inbox
//! (`handling`), and says how far it is. `failure` decides what an error means: wait, try again, or give up into
//! the `dead_letters`. Offsets follow transactions and never lead them, so what is delivered again finds its row in
//! the inbox.

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
/// A handler works in a transaction, in which the inbox has written down that its message is processed. The
/// offset is committed to Kafka after that. So a message that is delivered again, after a crash, a rebalance, or
/// because its producer sent it twice, is recognized and skipped.
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
/// Any number of consumers of one group share the partitions. Messages of one partition, and so of one key, are
/// handled one after another in their order; partitions side by side.
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
    /// Dropping the future instead is safe for the data: it is a crash, after which messages are delivered again
    /// and recognized.
    ///
    /// # Errors
    /// What no waiting cures: the tables are missing or of another version, or Kafka refuses this member for
    /// good. Nothing is lost then either.
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
    /// Cancel safe: dropped before the end, the message counts as not handled.
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
