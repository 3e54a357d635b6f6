//! What a consumer records.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::family::{Family, Names};
use super::handles::{Histogram, histogram};
use super::{ENABLED, describe_once, series};

/// What became of a message that needs no more handling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageOutcome {
    Processed,
    Duplicate,
    Unknown,
    DeadLettered,
}

/// Why a message is handled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryReason {
    Failure,
    Outage,
}

impl MessageOutcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

impl RetryReason {
    const ALL: [Self; 2] = [Self::Failure, Self::Outage];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Outage => "outage",
        }
    }
}

/// The metrics of a consumer, registered when the first one is recorded.
pub(crate) struct ConsumerMetrics {
    log: String,
    consumer: String,
    handles: OnceLock<Handles>,
}

struct Handles {
    messages: Family<3>,
    retries: Family<1>,
    seconds: Mutex<(Names, HashMap<String, Histogram>)>,
}

impl ConsumerMetrics {
    /// Of a consumer whose inbox is beside this log.
    pub(crate) fn new(log: &str, consumer: &str) -> Self {
        Self {
            log: log.to_owned(),
            consumer: consumer.to_owned(),
            handles: OnceLock::new(),
        }
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| {
            describe_once();
            let fixed = [self.log.as_str(), &self.consumer];
            let retries = Family::new(&series::CONSUMER_RETRIES, &fixed);
            for reason in RetryReason::ALL {
                retries.add([reason.as_str()], 0);
            }
            Handles {
                messages: Family::new(&series::CONSUMER_MESSAGES, &fixed),
                retries,
                seconds: Mutex::default(),
            }
        })
    }

    /// A message of this topic and type needs no more handling.
    pub(crate) fn message(&self, topic: &str, event_type: Option<&str>, outcome: MessageOutcome) {
        // Types without a handler are as many as others invent.
        let event_type = match outcome {
            MessageOutcome::Unknown => None,
            MessageOutcome::Processed | MessageOutcome::Duplicate | MessageOutcome::DeadLettered => {
                event_type
            }
        };
        let values = [topic, event_type.unwrap_or(series::OTHER), outcome.as_str()];
        self.handles().messages.add(values, 1);
    }

    pub(crate) fn retry(&self, reason: RetryReason) {
        self.handles().retries.add([reason.as_str()], 1);
    }

    /// Runs a handler of this type, and records how long it took.
    pub(crate) async fn timed<T>(&self, event_type: Option<&str>, handler: impl Future<Output = T>) -> T {
        let begun = ENABLED.then(Instant::now);
        let ended = handler.await;
        if let Some(begun) = begun {
            self.handler_took(event_type.unwrap_or(series::OTHER), begun.elapsed().as_secs_f64());
        }
        ended
    }

    fn handler_took(&self, event_type: &str, seconds: f64) {
        let mut known = self
            .handles()
            .seconds
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (names, histograms) = &mut *known;
        let event_type = names.fold(event_type);
        let histogram = match histograms.get(event_type) {
            Some(histogram) => histogram,
            None => histograms.entry(event_type.to_owned()).or_insert_with(|| {
                let labels = [
                    (series::LOG, self.log.as_str()),
                    (series::CONSUMER, &self.consumer),
                    (series::EVENT_TYPE, event_type),
                ];
                histogram(&series::HANDLER_SECONDS, &labels)
            }),
        };
        histogram.record(seconds);
    }
}
