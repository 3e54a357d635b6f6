//! `outbox inspect`

use clap::{ArgGroup, Args};
use uuid::Uuid;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("sought").required(true).args(["id", "key", "correlation_id"]))]
pub(crate) struct Inspect {
    /// The event id.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<Uuid>,

    /// Messages with this key.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Messages with this correlation id.
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,

    /// Only messages of this topic, named as in the table, without a prefix.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Kafka brokers: `host:port`, separated by commas. If set, partitions and offsets are read from the
    /// topics.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

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

    /// Maximum number of messages to search, beginning with the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) scan: u64,

    /// Maximum number of messages to show, beginning with the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,

    /// Maximum number of records to read from Kafka for one message.
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: u64,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
