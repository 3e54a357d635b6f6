//! The consumer's side of Kafka: all of rdkafka is here.

mod commits;
mod poll;
mod properties;
mod rebalance;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::message::BorrowedMessage;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::handling::Handling;
use super::{ConsumerError, ConsumerErrorKind, ConsumerReport};
use crate::ErrorChain;
use crate::database::OutboxDatabase;
use crate::inbox::InboxMessage;
use crate::librdkafka::{Clients, TokenProvider};
use crate::metrics::ClientMetrics;
use crate::relay::Backoff;
use crate::schema::{SchemaDatabase, SchemaError, check_schema};

/// What a stop may take beyond its deadline: leaving the group, and handlers that notice late that they were
/// dropped.
const GRACE: Duration = Duration::from_secs(5);

/// Headers with the type and the id of messages that are no CloudEvents.
#[derive(Debug, Default, Clone)]
pub(super) struct HeaderNames {
    pub(super) event_type: Option<String>,
    pub(super) id: Option<String>,
}

impl HeaderNames {
    fn read(&self, message: &BorrowedMessage<'_>) -> InboxMessage {
        InboxMessage::from_kafka(message).with_headers_of(self.event_type.as_deref(), self.id.as_deref())
    }
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    /// Names, and patterns that begin with `^`.
    pub(super) topics: Vec<String>,
    pub(super) headers: HeaderNames,
}

/// What it takes to connect.
pub(super) struct Client {
    config: Clients,
    subscription: Subscription,
}

impl Client {
    /// Checks the properties; does not connect.
    pub(super) fn new(
        brokers: &str,
        group: &str,
        metrics: ClientMetrics,
        subscription: Subscription,
        given: &[(String, String)],
        tokens: Option<TokenProvider>,
    ) -> Result<Self, ConsumerError> {
        if brokers.trim().is_empty() {
            return Err(ConsumerError::configuration(
                "no broker is named: give at least one as `host:port`",
            ));
        }
        given.iter().try_for_each(|(key, _)| properties::check(key))?;
        let mut config = properties::client(brokers, group, given, tokens);
        config.record_statistics(metrics);
        config.check().map_err(ConsumerError::configuration)?;
        Ok(Self { config, subscription })
    }

    /// Names, and patterns that begin with `^`.
    pub(super) fn topics(&self) -> &[String] {
        &self.subscription.topics
    }
}

/// Consumes until a stop.
pub(super) async fn run<DB: OutboxDatabase + SchemaDatabase>(
    client: &Client,
    handling: &Arc<Handling<DB>>,
    shutdown: CancellationToken,
) -> Result<ConsumerReport, ConsumerError> {
    tokio::select! {
        checked = tables_are_there(handling) => checked?,
        () = shutdown.cancelled() => return Ok(handling.progress.report()),
    }
    let stop = CancellationToken::new();
    // Dropped with this future: then the thread ends, too.
    let _stop_at_drop = stop.clone().drop_guard();
    let (ends, mut ended) = oneshot::channel();
    let poll = poll::Poll::new(client, Arc::clone(handling), stop.clone())?;
    let thread = std::thread::Builder::new().name("outbox-consumer".to_owned());
    let spawned = thread.spawn(move || {
        // Nobody waits any more if the run was dropped.
        let _ = ends.send(poll.run());
    });
    spawned.map_err(|error| {
        ConsumerError::new(
            ConsumerErrorKind::Refused,
            "the consumer's thread could not be started",
        )
        .with_source(error)
    })?;
    let result = tokio::select! {
        result = &mut ended => result,
        () = shutdown.cancelled() => {
            stop.cancel();
            match tokio::time::timeout(handling.config.shutdown_timeout + GRACE, ended).await {
                Ok(result) => result,
                Err(_) => {
                    tracing::warn!("the Kafka client did not close in time; it is abandoned");
                    Ok(Ok(()))
                }
            }
        }
    };
    match result {
        Ok(ended) => ended.map(|()| handling.progress.report()),
        Err(_) => Err(ConsumerError::new(
            ConsumerErrorKind::Refused,
            "the consumer's thread has panicked",
        )),
    }
}

/// Waits for a database that is away; what else is wrong with the tables ends the consumer.
async fn tables_are_there<DB: OutboxDatabase + SchemaDatabase>(
    handling: &Handling<DB>,
) -> Result<(), ConsumerError> {
    let mut backoff = Backoff::between(handling.config.backoff_min, handling.config.backoff_max);
    loop {
        let checked = match handling.outbox.pool().acquire().await {
            Ok(mut connection) => check_schema::<DB>(&mut connection, handling.outbox.tables()).await,
            Err(error) => Err(SchemaError::Database(error)),
        };
        match checked {
            Ok(_) => return Ok(()),
            Err(SchemaError::Database(error)) => {
                tracing::warn!(
                    error = %ErrorChain::new(&error),
                    "waiting for the database"
                );
            }
            Err(wrong) => return Err(wrong.into()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
