#![doc = include_str!("../docs/overview.md")]

pub mod catalog;
mod chain;
#[cfg(feature = "kafka")]
pub mod consumer;
mod database;
mod delivery_mode;
mod enqueue;
mod error;
mod event;
mod failpoint;
pub mod health;
pub mod inbox;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod inspect;
#[cfg(feature = "kafka")]
#[doc(hidden)]
pub mod librdkafka;
mod message;
pub mod metrics;
pub mod modes;
mod outbox;
pub mod publisher;
mod received;
pub mod record;
pub mod relay;
pub mod retention;
#[cfg(all(feature = "metrics", any(feature = "postgres", feature = "sqlite")))]
mod sampler;
pub mod schema;
mod setters;
#[cfg(feature = "kafka")]
pub mod shadow;
pub mod store;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod tail;
#[cfg(feature = "testkit")]
pub mod testkit;
mod trace;
mod transaction;
mod wake;
pub mod writers;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use chain::ErrorChain;
#[cfg(feature = "kafka")]
pub use consumer::Consumer;
pub use database::{CommitOutcome, Isolation, OutboxDatabase};
pub use delivery_mode::DeliveryMode;
pub use enqueue::Enqueued;
pub use error::{Error, ErrorKind};
pub use event::{BoxError, EventContext, OutboxEvent, Payload};
pub use health::{Health, HealthConfig, HealthStatus};
pub use inbox::{Identified, Inbox, InboxMessage, Processed};
#[cfg(feature = "kafka")]
pub use librdkafka::{KafkaToken, TokenProvider};
pub use message::{OutboxMessage, OutboxMessageBuilder};
pub use outbox::{Outbox, OutboxBuilder};
#[doc = include_str!("../docs/derive.md")]
pub use outbox_macros::OutboxEvent;
#[doc = include_str!("../docs/transactional.md")]
pub use outbox_macros::transactional;
#[cfg(feature = "kafka")]
pub use publisher::{KafkaPublisher, KafkaPublisherBuilder};
pub use relay::{Relay, RelayConfig, RelayError, RelayProgress, RelayReport, RunningRelay};
#[cfg(all(feature = "metrics", any(feature = "postgres", feature = "sqlite")))]
pub use sampler::{LogSampler, RunningSampler};
pub use schema::{InvalidTables, Tables, migrate};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use transaction::{OutboxTx, OwnPublishing, RetryableError, TransactionOptions, TransactionSource};
pub use wake::RelayWaker;

/// The code of the README compiles.
#[cfg(all(doctest, feature = "postgres", feature = "kafka"))]
#[doc = include_str!("../README.md")]
struct Readme;
