//! `outbox topics …`

use clap::{Args, Subcommand};

use super::shared::{CatalogOptions, ConnectTimeout, TopicPrefix};

#[derive(Debug, Args)]
pub(crate) struct Topics {
    #[command(subcommand)]
    pub(crate) what: TopicsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Compare the cluster's topics with the events and `outbox.toml`. Exit with 3 if they differ.
    Plan(TopicsOptions),
    /// Create missing topics and report differences. Existing topics are never changed or deleted.
    Apply(TopicsOptions),
}

#[derive(Debug, Args)]
pub(crate) struct TopicsOptions {
    /// Kafka brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// Property of librdkafka, such as `security.protocol=ssl`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,
    #[command(flatten)]
    pub(crate) source: CatalogOptions,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
