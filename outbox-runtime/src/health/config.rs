//! From which number on a log is not healthy.

use std::time::Duration;

use crate::RelayProgress;

/// Thresholds of a health check. A threshold that is [`u64::MAX`] or [`Duration::MAX`] switches its check off.
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::health::HealthConfig;
///
/// let config = HealthConfig::new().backlog(5_000).oldest_age(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HealthConfig {
    pub(super) timeout: Duration,
    pub(super) backlog: u64,
    pub(super) oldest_age: Duration,
    pub(super) no_relay_for: Duration,
    pub(super) nothing_acknowledged_for: Duration,
    pub(super) dead_letters: u64,
    pub(super) partitions_ahead: u32,
    pub(super) table_bytes: u64,
    pub(super) writer_age: Duration,
    pub(super) relay_failing_for: Duration,
    pub(super) relay: Option<RelayProgress>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            backlog: 100_000,
            oldest_age: Duration::from_secs(60),
            no_relay_for: Duration::from_secs(30),
            nothing_acknowledged_for: Duration::from_secs(60),
            dead_letters: 0,
            partitions_ahead: 2,
            table_bytes: 50 * 1024 * 1024 * 1024,
            writer_age: Duration::from_secs(300),
            relay_failing_for: Duration::from_secs(10),
            relay: None,
        }
    }
}

impl HealthConfig {
    /// The default thresholds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Timeout of a check. Default: 2 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Degraded above this number of undelivered messages. Default: 100,000.
    #[must_use]
    pub fn backlog(mut self, messages: u64) -> Self {
        self.backlog = messages;
        self
    }

    /// Degraded if the oldest undelivered message is older, by its `occurred_at`. Default: 60 s.
    #[must_use]
    pub fn oldest_age(mut self, age: Duration) -> Self {
        self.oldest_age = age;
        self
    }

    /// Degraded if there are undelivered messages and no relay has renewed the lease for this time. Must be
    /// longer than the relays' lease. Default: 30 s.
    #[must_use]
    pub fn no_relay_for(mut self, time: Duration) -> Self {
        self.no_relay_for = time;
        self
    }

    /// Degraded if there are undelivered messages, a relay is active and the cursor has not moved for this
    /// time. Default: 60 s.
    #[must_use]
    pub fn nothing_acknowledged_for(mut self, time: Duration) -> Self {
        self.nothing_acknowledged_for = time;
        self
    }

    /// Degraded above this number of dead letters in the state `dead`. Default: 0.
    #[must_use]
    pub fn dead_letters(mut self, count: u64) -> Self {
        self.dead_letters = count;
        self
    }

    /// Degraded if fewer partitions exist for future messages. 0 switches this check off, but not the check
    /// that the next message has a partition. Relays and `outbox migrate` keep 16. Default: 2.
    #[must_use]
    pub fn partitions_ahead(mut self, partitions: u32) -> Self {
        self.partitions_ahead = partitions;
        self
    }

    /// Degraded if the messages with their indexes and partitions (SQLite: the file) are larger. Default: 50 GiB.
    #[must_use]
    pub fn table_bytes(mut self, bytes: u64) -> Self {
        self.table_bytes = bytes;
        self
    }

    /// Degraded if a transaction that has written messages is open for longer. Default: 5 min.
    #[must_use]
    pub fn writer_age(mut self, age: Duration) -> Self {
        self.writer_age = age;
        self
    }

    /// Degraded if the relay of this process retries for longer without progress. Default: 10 s.
    #[must_use]
    pub fn relay_failing_for(mut self, time: Duration) -> Self {
        self.relay_failing_for = time;
        self
    }

    /// Includes the state of this process's relay. Default: none.
    #[must_use]
    pub fn relay(mut self, progress: &RelayProgress) -> Self {
        self.relay = Some(progress.clone());
        self
    }
}
