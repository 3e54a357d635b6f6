//! How a relay works: limits and intervals, checked before it starts.

use std::time::Duration;

use crate::relay::blocking::Blocking;
use crate::relay::error::RelayError;
use crate::relay::mode::DeliveryMode;
use crate::store::PageLimit;

/// Limits and intervals of a relay. The default suits most services; change single fields:
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::RelayConfig;
///
/// let config = RelayConfig { lease_ttl: Duration::from_secs(3), ..RelayConfig::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// What the lease says of this relay, for people. Default: host name and process id.
    pub holder: String,
    /// What is promised of the records. Default: each comes at least once.
    pub delivery: DeliveryMode,
    /// `ce_source` of records whose row names none. Default: `/<database name>`.
    pub source: Option<String>,
    /// Also send the headers `ce_time` and `ce_subject`. Default: no, because the record's timestamp and key
    /// carry both and each header costs throughput.
    pub time_and_subject: bool,
    /// How long the active relay may be silent before a standby takes over. Default: 6 s.
    pub lease_ttl: Duration,
    /// Rows of one page. Default: 5,000.
    pub page_rows: usize,
    /// Payload bytes of one page; a larger record comes alone. An exactly-once transaction, in which several pages may go
    /// together, has no more either. Default: 8 MiB.
    pub page_bytes: usize,
    /// Records in flight. Default: 20,000.
    pub max_in_flight_records: usize,
    /// Payload bytes in flight; a larger record goes alone. Default: 32 MiB.
    pub max_in_flight_bytes: usize,
    /// How soon an idle relay looks again after it has found something. Default: 5 ms.
    pub poll_min: Duration,
    /// How seldom a relay looks that has found nothing for long. Default: 250 ms.
    pub poll_max: Duration,
    /// How seldom the cursor is written while records settle. Default: 200 ms.
    pub persist_interval: Duration,
    /// How long records of a topic may stay unanswered, while those of others are acknowledged, before the topic
    /// is suspended: its records wait in the dead letters then, and hold up no other. Default: 3 s.
    pub set_aside_after: Duration,
    /// TopicHealth whose keys wait behind a record that is dead, until somebody replays or discards it; those of other
    /// topics go on without it. A `*` at the end of a name stands for any rest. Delivered at least once, at most one
    /// record of a key is in flight in such a topic. Default: none.
    pub block: Vec<String>,
    /// How long a stop waits for records in flight. Default: 10 s.
    pub shutdown_timeout: Duration,
    /// The first pause after a failure. Default: 100 ms.
    pub backoff_min: Duration,
    /// The longest pause after failures. Default: 10 s.
    pub backoff_max: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            holder: default_holder(),
            delivery: DeliveryMode::default(),
            source: None,
            time_and_subject: false,
            lease_ttl: Duration::from_secs(6),
            page_rows: 5_000,
            page_bytes: 8 << 20,
            max_in_flight_records: 20_000,
            max_in_flight_bytes: 32 << 20,
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(250),
            persist_interval: Duration::from_millis(200),
            set_aside_after: Duration::from_secs(3),
            block: Vec::new(),
            shutdown_timeout: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
        }
    }
}

impl RelayConfig {
    pub(super) fn check(&self) -> Result<(), RelayError> {
        let positive = [
            (self.page_rows, "page_rows"),
            (self.page_bytes, "page_bytes"),
            (self.max_in_flight_records, "max_in_flight_records"),
            (self.max_in_flight_bytes, "max_in_flight_bytes"),
        ];
        if let Some((_, name)) = positive.iter().find(|(value, _)| *value == 0) {
            return Err(RelayError::configuration(format!(
                "`{name}` is 0: nothing could be sent"
            )));
        }
        if self.page_rows > 100_000 {
            return Err(RelayError::configuration(
                "`page_rows` is above 100,000: a page is held in memory",
            ));
        }
        if self.page_bytes > 1 << 30 {
            return Err(RelayError::configuration(
                "`page_bytes` is above 1 GiB: a page is held in memory",
            ));
        }
        if self.lease_ttl < Duration::from_millis(300) {
            return Err(RelayError::configuration(
                "`lease_ttl` is below 300 ms: an ordinary pause would lose the lease",
            ));
        }
        let ordered = [
            (self.poll_min, self.poll_max, "poll_min", "poll_max"),
            (self.backoff_min, self.backoff_max, "backoff_min", "backoff_max"),
        ];
        for (min, max, min_name, max_name) in ordered {
            if min.is_zero() || min > max {
                return Err(RelayError::configuration(format!(
                    "`{min_name}` has to be above 0 and at most `{max_name}`"
                )));
            }
        }
        Blocking::check(&self.block)?;
        if self.source.as_deref().is_some_and(str::is_empty) {
            return Err(RelayError::configuration(
                "`source` is empty: CloudEvents asks for a URI reference, such as `/orders`",
            ));
        }
        Ok(())
    }

    pub(super) fn page_limit(&self) -> PageLimit {
        PageLimit {
            rows: self.page_rows,
            bytes: self.page_bytes,
        }
    }
}

fn default_holder() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

#[cfg(target_os = "linux")]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(target_os = "linux"))]
fn host_name() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "relay".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_cannot_work_is_refused_by_name() {
        assert!(RelayConfig::default().check().is_ok());
        let wrong: [(&str, RelayConfig); 5] = [
            (
                "page_rows",
                RelayConfig {
                    page_rows: 0,
                    ..RelayConfig::default()
                },
            ),
            (
                "max_in_flight_bytes",
                RelayConfig {
                    max_in_flight_bytes: 0,
                    ..RelayConfig::default()
                },
            ),
            (
                "lease_ttl",
                RelayConfig {
                    lease_ttl: Duration::ZERO,
                    ..RelayConfig::default()
                },
            ),
            (
                "poll_min",
                RelayConfig {
                    poll_min: Duration::from_secs(9),
                    ..RelayConfig::default()
                },
            ),
            (
                "source",
                RelayConfig {
                    source: Some(String::new()),
                    ..RelayConfig::default()
                },
            ),
        ];
        for (name, config) in wrong {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
