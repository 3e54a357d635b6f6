//! The command line. Its hidden commands are the processes that the platform starts: itself, as one of the services.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use service_kit::Settings;

const EXIT_CODES: &str = "\
Exit codes:
  0  every batch has the ranking that its essays deserve, and every committed event arrived, in order, and nothing else
  1  a ranking is wrong; an event is missing, unexpected or out of order; or the run failed
  2  wrong usage

What is needed:
  Hunspell's dictionaries, for corrections: apt install hunspell-en-us hunspell-sv
  For --database-url, a build for PostgreSQL: cargo run -p platform --features postgres -- --database-url URL";

/// Takes a class's essays through all services and prints their ranking.
///
/// Each service is a process with a database and a relay of its own. Without options, the databases are SQLite files in a
/// temporary folder, and the broker is librdkafka's mock cluster.
#[derive(Debug, Parser)]
#[command(name = "platform", version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) part: Option<Part>,

    #[command(flatten)]
    pub(crate) demo: Demo,
}

/// What the platform does.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A folder with essays: text files in UTF-8. Two files that are no essays are handed in with them.
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../file-service/essays"))]
    pub(crate) essays: PathBuf,

    /// The folder with Hunspell's dictionaries `en_US` and `sv_SE`.
    #[arg(
        long,
        value_name = "PATH",
        env = "DICTIONARIES",
        default_value = "/usr/share/hunspell"
    )]
    pub(crate) dictionaries: PathBuf,

    /// A PostgreSQL server on which each service gets a new database, such as postgres://postgres@localhost/postgres.
    #[arg(long, value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,

    /// Kafka's brokers: `host:port`, separated by commas. Topics are created.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,

    /// Kill services, relays, broker and databases while it runs.
    #[arg(long)]
    pub(crate) chaos: bool,

    /// Repeat the order of the faults that an earlier run has printed.
    #[arg(long, value_name = "N", requires = "chaos")]
    pub(crate) seed: Option<u64>,

    /// Send every request twice and every record three times.
    #[arg(long)]
    pub(crate) again: bool,

    /// How many classes hand in their essays. Default: 1, with --chaos 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) batches: Option<u16>,

    /// Where to write the page that shows the events. Default: a file in the folder for temporary files.
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,

    /// Measure how long each stage takes, and print it.
    #[arg(long)]
    pub(crate) stages: bool,

    /// Instead of all this, call one transaction of each service so many times, with the outbox and with direct
    /// publishing, and print how long it takes.
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "N", requires_all = ["database_url", "brokers"])]
    pub(crate) measure: Option<usize>,
}

/// A process of the platform.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// Runs one service until a signal, or until nobody holds its stdin any more.
    #[command(hide = true)]
    Service(Of),
    /// Stands by as a service's relay.
    #[command(hide = true)]
    Relay(Of),
}

/// Whose process it is.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// The service.
    pub(crate) name: Name,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Where the dictionaries are.
    #[arg(long)]
    pub(crate) dictionaries: PathBuf,
}

/// A service, in the order in which essays come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Name {
    FileService,
    EssayLifecycle,
    BatchOrchestrator,
    Spellcheck,
    CjAssessment,
    ResultAggregator,
}

impl Name {
    pub(crate) const ALL: [Self; 6] = [
        Self::FileService,
        Self::EssayLifecycle,
        Self::BatchOrchestrator,
        Self::Spellcheck,
        Self::CjAssessment,
        Self::ResultAggregator,
    ];

    /// As on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FileService => "file-service",
            Self::EssayLifecycle => "essay-lifecycle",
            Self::BatchOrchestrator => "batch-orchestrator",
            Self::Spellcheck => "spellcheck",
            Self::CjAssessment => "cj-assessment",
            Self::ResultAggregator => "result-aggregator",
        }
    }
}
