//! `outbox topics …`

use clap::{Args, Subcommand};

use super::shared::{CatalogSource, ConnectTimeout};

#[derive(Debug, Args)]
pub(crate) struct Topics {
    #[command(subcommand)]
    pub(crate) what: TopicsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Compare the cluster's topics with what the events and `outbox.toml` say. Exit 3 if anything is to be done.
    Plan(TopicsOptions),
    /// Create the topics that are missing, and tell what is different. Nothing is ever changed or deleted.
    Apply(TopicsOptions),
}

#[derive(Debug, Args)]
pub(crate) struct TopicsOptions {
    /// Kafka's brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// A property of librdkafka, such as `security.protocol=ssl`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    #[command(flatten)]
    pub(crate) source: CatalogSource,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
