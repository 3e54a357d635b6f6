//! Settings of a service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outbox_runtime::KafkaPublisher;
use outbox_runtime::modes::Mode;
use outbox_runtime::publisher::PublishError;

/// Settings, from the command line or the environment.
#[derive(Clone, Args)]
pub struct Settings {
    /// The database: `sqlite:<file>`, or `postgres://…` if compiled with the feature `postgres`.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Kafka's brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub brokers: String,

    /// The brokers are librdkafka's mock cluster, which reports no limits of topics.
    #[arg(long)]
    pub mock_brokers: bool,

    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// The folder with the texts of essays. Services share it.
    #[arg(long, value_name = "PATH", env = "CONTENT_DIR", default_value = "content")]
    pub content_dir: PathBuf,

    /// After how many seconds without a sign of life another replica takes over, as the relay and as a consumer.
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    pub failover: Duration,

    /// How events reach Kafka where the database says nothing else: outbox, direct or shadow. All but outbox need
    /// PostgreSQL.
    #[arg(long, value_name = "MODE", env = "MODE", default_value = "outbox")]
    pub mode: Mode,

    /// How many seconds open requests have when the service is stopped.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub shutdown_timeout: Duration,
}

impl Settings {
    /// A publisher for these brokers.
    ///
    /// # Errors
    /// Their addresses are wrong.
    pub fn publisher(&self) -> Result<KafkaPublisher, PublishError> {
        let publisher = KafkaPublisher::builder(&self.brokers);
        match self.mock_brokers {
            true => publisher.assume_topic_limits().build(),
            false => publisher.build(),
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The database's URL may hold a password.
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number of seconds, at least 1".to_owned()),
    }
}
