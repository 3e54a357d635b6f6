//! Settings of the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outbox_runtime::KafkaPublisher;
use outbox_runtime::modes::Mode;
use outbox_runtime::publisher::PublishError;

use crate::http::UploadLimits;
use crate::validation::TextLength;

/// Settings, from the command line, the environment or a `.env` file.
#[derive(Clone, Args)]
pub struct Config {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Kafka's brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub brokers: String,

    /// The brokers are librdkafka's mock cluster, which reports no limits of topics.
    #[arg(long)]
    pub mock_brokers: bool,

    /// After how many seconds without a sign of life another replica's relay takes over.
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    pub failover: Duration,

    /// How events reach Kafka where the database says nothing else: outbox, direct or shadow.
    #[arg(long, value_name = "MODE", env = "MODE", default_value = "outbox")]
    pub mode: Mode,

    /// Where to listen.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// The folder for files and their texts. Replicas share it.
    #[arg(long, value_name = "PATH", env = "CONTENT_DIR", default_value = "content")]
    pub content_dir: PathBuf,

    /// How many uploads are processed at a time; 0 leaves that to other replicas.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub workers: usize,

    /// After how many seconds an upload that somebody began to process is taken up by others.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub claim: Duration,

    /// How many seconds requests have to end in when the service is stopped.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub shutdown_timeout: Duration,

    /// The shortest text that is an essay, in characters.
    #[arg(long, value_name = "CHARACTERS", default_value_t = 50)]
    pub min_text: usize,

    /// The longest text that is taken, in characters.
    #[arg(long, value_name = "CHARACTERS", default_value_t = 50_000)]
    pub max_text: usize,

    /// The largest file that is taken, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 10 << 20)]
    pub max_file_bytes: usize,

    /// The largest request that is taken, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 100 << 20)]
    pub max_request_bytes: usize,

    /// The most files that are taken in one request.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub max_files: usize,
}

impl Config {
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

    /// How long texts have to be.
    pub fn text_length(&self) -> TextLength {
        TextLength {
            min: self.min_text,
            max: self.max_text,
        }
    }

    /// How much one request may bring.
    pub fn upload_limits(&self) -> UploadLimits {
        UploadLimits {
            file_bytes: self.max_file_bytes,
            request_bytes: self.max_request_bytes,
            files: self.max_files,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The database's URL holds its password.
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("listen", &self.listen)
            .field("content_dir", &self.content_dir)
            .finish_non_exhaustive()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number of seconds, at least 1".to_owned()),
    }
}
