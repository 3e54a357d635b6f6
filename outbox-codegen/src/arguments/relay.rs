//! `outbox relay`

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use outbox_runtime::DeliveryMode;
use outbox_runtime::retention::Keep;

use super::retention::{age, keep, size};
use super::shared::{DatabaseUrl, TableNames};
use crate::duration::duration;
use crate::logging::LogFormat;

#[derive(Debug, Args)]
pub(crate) struct Relay {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Kafka brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// Deliver all committed messages, then exit.
    #[arg(long)]
    pub(crate) until_empty: bool,

    /// Delivery mode: at least once, or exactly once for consumers that read committed records.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t,
        env = "OUTBOX_DELIVERY"
    )]
    pub(crate) delivery: Delivery,

    /// Prefix of the topics' names in the cluster, such as `dev.`, for several environments in one cluster.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "OUTBOX_TOPIC_PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) topic_prefix: String,

    /// Topic of the cursor in exactly-once delivery; created if missing.
    #[arg(
        long,
        value_name = "TOPIC",
        default_value = "outbox-cursors",
        env = "OUTBOX_CURSOR_TOPIC"
    )]
    pub(crate) cursor_topic: String,

    /// Prefix of the transactional ids in exactly-once delivery. It must be the same for all relays of a log.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "outbox-",
        env = "OUTBOX_TRANSACTIONAL_ID_PREFIX"
    )]
    pub(crate) transactional_id_prefix: String,

    /// CloudEvents source of messages without a source [default: /<database name>].
    #[arg(long, value_name = "URI-REFERENCE", env = "OUTBOX_SOURCE")]
    pub(crate) source: Option<String>,

    /// Property of librdkafka, such as `compression.type=lz4`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// Topic in which a dead message blocks its key: later messages of the key wait until it is replayed or
    /// discarded. May end in `*`; may be repeated, or separated by commas. In other topics, later messages
    /// are sent without waiting.
    #[arg(long, value_name = "TOPIC", env = "OUTBOX_BLOCK", value_delimiter = ',')]
    pub(crate) block: Vec<String>,

    /// Delete delivered messages that are older than this, such as `7d`, or all of them: `until-acknowledged`
    /// [default: keep them].
    #[arg(long, value_name = "AGE", value_parser = keep, env = "OUTBOX_RETENTION")]
    pub(crate) retention: Option<Keep>,

    /// Delete the oldest delivered messages when the log is larger than this, such as `10GB` [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = size, env = "OUTBOX_RETENTION_BYTES")]
    pub(crate) retention_bytes: Option<u64>,

    /// Delete dead letters whose last failure is older than this, such as `90d` [default: keep them].
    #[arg(long, value_name = "AGE", value_parser = age, env = "OUTBOX_RETENTION_DEAD_LETTERS")]
    pub(crate) retention_dead_letters: Option<Duration>,

    /// Interval between deletions.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, env = "OUTBOX_RETENTION_INTERVAL")]
    pub(crate) retention_interval: Duration,

    /// Maximum time to wait for messages in flight at shutdown.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, env = "OUTBOX_SHUTDOWN_TIMEOUT")]
    pub(crate) shutdown_timeout: Duration,

    /// Time to live of the lease. If it is not renewed in this time, a standby takes over.
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = duration, env = "OUTBOX_LEASE_TTL")]
    pub(crate) lease_ttl: Duration,

    /// Maximum poll interval when idle.
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = duration, env = "OUTBOX_POLL_MAX")]
    pub(crate) poll_max: Duration,

    /// Timeout of each of the relay's statements in PostgreSQL.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration, env = "OUTBOX_STATEMENT_TIMEOUT")]
    pub(crate) statement_timeout: Duration,

    /// Maximum number of producers that share the partitions. More producers increase the throughput if the
    /// network latency to the brokers is high.
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64), env = "OUTBOX_PRODUCERS")]
    pub(crate) producers: u32,

    /// Assume Kafka's default size limits, for brokers that cannot describe their topics.
    #[arg(long, env = "OUTBOX_ASSUME_TOPIC_LIMITS", value_parser = BoolishValueParser::new())]
    pub(crate) assume_topic_limits: bool,

    /// Also send the headers `ce_time` and `ce_subject`.
    #[arg(long, env = "OUTBOX_TIME_AND_SUBJECT", value_parser = BoolishValueParser::new())]
    pub(crate) time_and_subject: bool,

    /// Create a `send` span for each sampled record instead of one for each batch.
    #[arg(long, env = "OUTBOX_RECORD_SPANS", value_parser = BoolishValueParser::new())]
    pub(crate) record_spans: bool,

    /// Format of the log output on stderr.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        env = "OUTBOX_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,

    /// Serve metrics to Prometheus at this address. A port alone means 127.0.0.1.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = metrics_address, env = "OUTBOX_METRICS_ADDR")]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// Sampling interval of the log and of librdkafka's statistics.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration, requires = "metrics_addr", env = "OUTBOX_METRICS_INTERVAL")]
    pub(crate) metrics_interval: Duration,

    /// Maximum number of topics with separate time series; all further topics share the label `other`.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 100,
        requires = "metrics_addr",
        env = "OUTBOX_METRICS_TOPICS"
    )]
    pub(crate) metrics_topics: usize,

    /// Export spans over OTLP to the collector at this address, such as http://localhost:4318.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Delivery {
    #[default]
    AtLeastOnce,
    ExactlyOnce,
}

impl From<Delivery> for DeliveryMode {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::AtLeastOnce => Self::AtLeastOnce,
            Delivery::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

/// Where metrics are served: an address and a port, or a port for this machine alone.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text.parse::<SocketAddr>(),
    };
    match address {
        Ok(address) if address.port() > 0 => Ok(address),
        Ok(_) => Err("port 0 means any port, which nobody could find: write a port such as 9464".to_owned()),
        Err(_) => Err(
            "write an IP address and a port, such as 127.0.0.1:9464 or 0.0.0.0:9464, or only a port"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_served_on_loopback_unless_an_address_is_given() {
        let address = |text| metrics_address(text).map(|address| address.to_string());
        assert_eq!(address("9464").as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(address("0.0.0.0:9464").as_deref(), Ok("0.0.0.0:9464"));
        assert_eq!(address("[::1]:9464").as_deref(), Ok("[::1]:9464"));
        for wrong in [
            "",
            "localhost:9464",
            "127.0.0.1",
            "127.0.0.1:0",
            "0",
            "70000",
            ":9464",
        ] {
            assert!(address(wrong).is_err_and(|says| says.contains("9464")), "{wrong}");
        }
    }
}
