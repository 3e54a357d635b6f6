//! Why the broker does not answer: librdkafka reports it apart from the calls that fail, and not for each kind of
//! client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::librdkafka::{Clients, Connected};

/// How long a broker may take to answer, or not to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long is listened to what a client has to say. It says it without waiting for anybody.
const LISTENING: Duration = Duration::from_millis(500);

/// Remembers how a client's last connection failed. What librdkafka says beside that is for the debug log: that a
/// consumer heeds none of a producer's properties, and that each end is one.
#[derive(Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<Option<String>>>);

impl Complaints {
    /// The last one of this client, as the end of a sentence; empty if there is none.
    pub(super) fn of(&self, consumer: &BaseConsumer<Self>) -> String {
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let until = Instant::now() + LISTENING;
        // Each call hands on what was said before it.
        while last().is_none() && Instant::now() < until {
            drop(consumer.poll(LISTENING / 10));
        }
        last().map_or_else(String::new, |complaint| format!("; {complaint}"))
    }
}

impl ClientContext for Complaints {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        tracing::debug!(message, "kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Complaints {}

/// Why a broker does not answer these clients, as the end of a sentence; empty if it does, or is silent. Asks it once
/// more, with a client that is called back.
pub(super) async fn ask_again(client: &Clients) -> String {
    let mut client = client.clone();
    client.set("group.id", "outbox-relay");
    let asked = tokio::task::spawn_blocking(move || {
        let complaints = Complaints::default();
        let consumer: Connected<BaseConsumer<Complaints>> = client.create(complaints.clone()).ok()?;
        consumer.fetch_metadata(None, PATIENCE).err()?;
        Some(complaints.of(&consumer))
    });
    asked.await.ok().flatten().unwrap_or_default()
}
