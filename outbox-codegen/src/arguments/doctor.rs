//! `outbox doctor`

use std::time::Duration;

use clap::Args;

use super::RoleName;
use super::shared::{CatalogOptions, ConnectTimeout, DatabaseUrl, TableNames, TopicPrefix};
use crate::duration::duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  no serious finding
  1  failed, such as a refused login
  2  wrong usage or configuration
  3  a finding is serious
  4  the database cannot be reached")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// What the role in --database-url is used for [default: any].
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleName>,

    /// Kafka brokers: `host:port`, separated by commas. If set, brokers and topics are checked, too.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

    /// Property of librdkafka, such as `security.protocol=sasl_ssl`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// Topic of the cursor in exactly-once delivery.
    #[arg(
        long,
        value_name = "TOPIC",
        default_value = "outbox-cursors",
        env = "OUTBOX_CURSOR_TOPIC"
    )]
    pub(crate) cursor_topic: String,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,

    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Maximum age of an open or prepared transaction; an older one is a finding.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) max_transaction_age: Duration,

    /// Maximum difference between the clocks of this machine and of PostgreSQL; a larger one is a finding.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) max_clock_difference: Duration,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
