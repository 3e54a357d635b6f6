//! `outbox relay`

use std::time::Duration;

use clap::{Args, ValueEnum};
use outbox_runtime::DeliveryMode;

use super::shared::{DatabaseUrl, TableNames, duration};

#[derive(Debug, Args)]
pub(crate) struct Relay {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Kafka's brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// Stop once no committed message is left to deliver.
    #[arg(long)]
    pub(crate) until_empty: bool,

    /// What is promised: after a crash some messages come twice, or none does to a consumer that reads committed
    /// records only.
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) delivery: Delivery,

    /// The topic that keeps the cursor in exactly-once delivery; created if it is missing.
    #[arg(long, value_name = "TOPIC", default_value = "outbox-cursors")]
    pub(crate) cursor_topic: String,

    /// What the transactional id of exactly-once delivery begins with, before the log's own id, for a cluster that grants
    /// ids by prefix. The same for all relays of a log.
    #[arg(long, value_name = "PREFIX", default_value = "outbox-")]
    pub(crate) transactional_id_prefix: String,

    /// The CloudEvents source of messages that name none [default: /<database name>].
    #[arg(long, value_name = "URI-REFERENCE")]
    pub(crate) source: Option<String>,

    /// A property of librdkafka, such as `compression.type=lz4`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// A topic whose keys wait behind a message that cannot be delivered, until it is replayed or discarded; `*` at the
    /// end stands for any rest; may be repeated. In other topics the key goes on without it.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) block: Vec<String>,

    /// How long a stop waits for messages that are on their way.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) shutdown_timeout: Duration,

    /// How long the active relay may be silent before a standby takes over.
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = duration)]
    pub(crate) lease_ttl: Duration,

    /// How seldom a relay looks that has found nothing for long.
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = duration)]
    pub(crate) poll_max: Duration,

    /// How long PostgreSQL may work on one of the relay's statements.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub(crate) statement_timeout: Duration,

    /// Assume Kafka's default limits of topics, for a broker that cannot be asked for them.
    #[arg(long)]
    pub(crate) assume_topic_limits: bool,

    /// Also send the headers ce_time and ce_subject.
    #[arg(long)]
    pub(crate) time_and_subject: bool,
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
