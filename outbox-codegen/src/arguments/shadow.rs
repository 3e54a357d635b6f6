//! `outbox shadow`

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct Shadow {
    #[command(subcommand)]
    pub(crate) what: ShadowCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    /// Compare a topic with its shadow, and list missing, extra, reordered and changed records.
    ///
    /// Records with the same header `ce_id` are compared. A record of the service without this header is
    /// compared with the next record of the shadow that has the same key and value. Exits with 3 if records
    /// differ.
    Report(ShadowReport),
}

#[derive(Debug, Args)]
pub(crate) struct ShadowReport {
    /// The topic that the service publishes to.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,

    /// The shadow's topic [default: the topic with the suffix `.shadow`].
    #[arg(long, value_name = "TOPIC")]
    pub(crate) shadow: Option<String>,

    /// Only records at or after this time, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<DateTime<Utc>>,

    /// Only records before this time. If omitted, records in flight count as missing.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<DateTime<Utc>>,

    /// Maximum number of records to read from each topic.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    pub(crate) records: usize,

    /// Kafka brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// Property of librdkafka, such as `security.protocol=sasl_ssl`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// Prefix of the topics' names in the cluster, such as `dev.`.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "OUTBOX_TOPIC_PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) topic_prefix: String,

    /// Maximum time for the brokers to answer.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
