//! Settings of a consumer, checked before it starts.

use std::time::Duration;

use super::error::ConsumerError;
use crate::setters::setters;

/// Treatment of messages whose type has no handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownTypes {
    /// Count the message and continue.
    #[default]
    Skip,
    /// Store the message in the dead letters.
    DeadLetter,
}

/// Settings of a consumer. The default suits most services; change single settings:
///
/// ```
/// use outbox_runtime::consumer::ConsumerConfig;
///
/// let config = ConsumerConfig::new().max_attempts(3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// Maximum number of concurrent handlers. Each uses a connection of the pool. Default: 16.
    pub max_concurrency: usize,
    /// Maximum attempts before a message is dead-lettered. Outages do not count as attempts. Default: 5.
    pub max_attempts: u32,
    /// First pause before a retry. Default: 100 ms.
    pub backoff_min: Duration,
    /// Maximum pause before a retry. Default: 10 s.
    pub backoff_max: Duration,
    /// Maximum messages queued in memory for each partition. Default: 500.
    pub max_queued_messages: usize,
    /// Maximum bytes queued in memory for each partition. A larger message is queued alone. Default: 4 MiB.
    pub max_queued_bytes: usize,
    /// Minimum interval between two offset commits. Default: 200 ms.
    pub commit_interval: Duration,
    /// Maximum time that a rebalance waits for handlers of revoked partitions. After that, they are dropped and
    /// their transactions roll back. Must be below `max.poll.interval.ms`. Default: 10 s.
    pub revoke_timeout: Duration,
    /// Maximum time that a stop waits for running handlers. After that, they are dropped and their transactions
    /// roll back. Default: 10 s.
    pub shutdown_timeout: Duration,
    /// Treatment of messages whose type has no handler. Default: skip it.
    pub unknown_types: UnknownTypes,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            max_concurrency: 16,
            max_attempts: 5,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            max_queued_messages: 500,
            max_queued_bytes: 4 << 20,
            commit_interval: Duration::from_millis(200),
            revoke_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
            unknown_types: UnknownTypes::default(),
        }
    }
}

setters! {
    ConsumerConfig {
        max_concurrency: usize,
        max_attempts: u32,
        backoff_min: Duration,
        backoff_max: Duration,
        max_queued_messages: usize,
        max_queued_bytes: usize,
        commit_interval: Duration,
        revoke_timeout: Duration,
        shutdown_timeout: Duration,
        unknown_types: UnknownTypes,
    }
}

impl ConsumerConfig {
    pub(super) fn check(&self) -> Result<(), ConsumerError> {
        let wrong = |says: String| Err(ConsumerError::configuration(says));
        let positive = [
            (self.max_concurrency, "max_concurrency"),
            (self.max_attempts as usize, "max_attempts"),
            (self.max_queued_messages, "max_queued_messages"),
            (self.max_queued_bytes, "max_queued_bytes"),
        ];
        if let Some((_, name)) = positive.iter().find(|(value, _)| *value == 0) {
            return wrong(format!("`{name}` is 0: nothing could be handled"));
        }
        if self.backoff_min.is_zero() || self.backoff_min > self.backoff_max {
            return wrong("`backoff_min` must be above 0 and at most `backoff_max`".to_owned());
        }
        if self.commit_interval.is_zero() {
            return wrong("`commit_interval` is 0: there would be no pause between commits".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_cannot_work_is_refused_by_name() {
        let default = ConsumerConfig::default;
        assert!(default().check().is_ok());
        let wrong = [
            ("max_concurrency", default().max_concurrency(0)),
            ("max_attempts", default().max_attempts(0)),
            ("backoff_min", default().backoff_min(Duration::from_secs(60))),
            ("commit_interval", default().commit_interval(Duration::ZERO)),
        ];
        for (name, config) in wrong {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
