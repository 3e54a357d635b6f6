//! Settings of a relay, checked before it starts.

use std::time::Duration;

use crate::delivery_mode::DeliveryMode;
use crate::relay::blocking::Blocking;
use crate::relay::error::RelayError;
use crate::retention::Retention;
use crate::setters::setters;
use crate::store::PageLimit;

/// Settings of a relay. The default suits most services; change single settings:
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::RelayConfig;
///
/// let config = RelayConfig::new().lease_ttl(Duration::from_secs(3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Name of this relay in the lease, for operators. Default: host name and process id.
    pub holder: String,
    /// Delivery mode. Default: at least once.
    pub delivery: DeliveryMode,
    /// `ce_source` of records without a source. Default: `/<database name>`.
    pub source: Option<String>,
    /// Also send the headers `ce_time` and `ce_subject`. Default: false, because the record's timestamp and key
    /// contain both, and each header costs throughput.
    pub time_and_subject: bool,
    /// Create a `send` span for each record whose trace is sampled, instead of one for each batch. Shows the
    /// outcome of each record, but each span costs throughput. Default: false.
    pub record_spans: bool,
    /// Time to live of the lease. If it is not renewed in this time, a standby takes over. Default: 6 s.
    pub lease_ttl: Duration,
    /// Maximum number of rows of a page, which is read by one query. Default: 5,000.
    pub page_rows: usize,
    /// Maximum payload bytes of a page, and of a transaction in exactly-once delivery; after a transaction of
    /// at least half of it that took less than a second, the next one may hold twice as much, up to
    /// `max_in_flight_bytes`. A larger record is read alone. Default: 8 MiB.
    pub page_bytes: usize,
    /// Maximum number of records in flight to the broker, and of a transaction in exactly-once delivery. Default:
    /// 20,000.
    pub max_in_flight_records: usize,
    /// Maximum payload bytes in flight to the broker. A larger record is sent alone. Default: 32 MiB.
    pub max_in_flight_bytes: usize,
    /// Minimum poll interval, used right after a poll that found rows. Default: 5 ms.
    pub poll_min: Duration,
    /// Maximum poll interval when idle. Default: 250 ms.
    pub poll_max: Duration,
    /// Minimum interval between two writes of the cursor. Default: 200 ms.
    pub persist_interval: Duration,
    /// Time without an acknowledgement after which a topic is suspect. It is suspended when a later record of
    /// another topic is acknowledged. The records of a suspended topic are parked in the dead letters until the topic accepts records. Default: 3
    /// s.
    pub suspend_after: Duration,
    /// Topics in which a dead record blocks its key: later records of the key wait until the dead one is
    /// replayed or discarded. In other topics, they are sent without waiting. A name may end in `*`. With
    /// at-least-once delivery, such a topic has at most one record of a key in flight. Default: none.
    pub block: Vec<String>,
    /// Retention of delivered messages and dead letters in the database. The active relay deletes them on a
    /// separate connection. Default: no deletion.
    pub retention: Retention,
    /// Maximum time to wait for records in flight at shutdown. During this time, failed records are sent
    /// again if later records are settled. After it, a database that does not answer delays the end by up to 4 s, in
    /// which the relay tries to release the lease. Default: 10 s.
    pub shutdown_timeout: Duration,
    /// First pause after a failure. Default: 100 ms.
    pub backoff_min: Duration,
    /// Maximum pause after repeated failures. Default: 10 s.
    pub backoff_max: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            holder: default_holder(),
            delivery: DeliveryMode::default(),
            source: None,
            time_and_subject: false,
            record_spans: false,
            lease_ttl: Duration::from_secs(6),
            page_rows: 5_000,
            page_bytes: 8 << 20,
            max_in_flight_records: 20_000,
            max_in_flight_bytes: 32 << 20,
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(250),
            persist_interval: Duration::from_millis(200),
            suspend_after: Duration::from_secs(3),
            block: Vec::new(),
            retention: Retention::off(),
            shutdown_timeout: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
        }
    }
}

setters! {
    RelayConfig {
        holder: impl Into<String>,
        delivery: DeliveryMode,
        source: impl Into<Option<String>>,
        time_and_subject: bool,
        record_spans: bool,
        lease_ttl: Duration,
        page_rows: usize,
        page_bytes: usize,
        max_in_flight_records: usize,
        max_in_flight_bytes: usize,
        poll_min: Duration,
        poll_max: Duration,
        persist_interval: Duration,
        suspend_after: Duration,
        block: Vec<String>,
        retention: Retention,
        shutdown_timeout: Duration,
        backoff_min: Duration,
        backoff_max: Duration,
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
                    "`{min_name}` must be above 0 and at most `{max_name}`"
                )));
            }
        }
        Blocking::check(&self.block)?;
        self.retention
            .check()
            .map_err(|error| RelayError::configuration(error.to_string()))?;
        if self.source.as_deref().is_some_and(str::is_empty) {
            return Err(RelayError::configuration(
                "`source` is empty: CloudEvents requires a URI reference, such as `/orders`",
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
            ("page_rows", RelayConfig::new().page_rows(0)),
            ("max_in_flight_bytes", RelayConfig::new().max_in_flight_bytes(0)),
            ("lease_ttl", RelayConfig::new().lease_ttl(Duration::ZERO)),
            ("poll_min", RelayConfig::new().poll_min(Duration::from_secs(9))),
            ("source", RelayConfig::new().source(Some(String::new()))),
        ];
        for (name, config) in wrong {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
