//! `cargo run -p platform`: a class's essays go through all services, and the ranking comes out.
//!
//! Each service has a database and a relay of its own, and speaks to the others through Kafka alone. Here they share a
//! process, and the broker is librdkafka's mock cluster. [`services`] starts them, [`files`] stands for the File Service,
//! [`verdict`] compares what was committed with what is in the broker.

mod files;
mod report;
mod services;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use outbox_runtime::testkit::TestBroker;
use tracing_subscriber::EnvFilter;

use crate::services::Platform;

/// How long a batch may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const EXIT_CODES: &str = "\
Exit codes:
  0  the batch was ranked, and every committed event arrived, in order, and nothing else did
  1  an event is missing, unexpected or out of order; or the run failed
  2  wrong usage";

/// Takes a class's essays through all services and prints their ranking.
///
/// The databases are SQLite files in a temporary folder. The broker is librdkafka's mock cluster.
#[derive(Debug, Parser)]
#[command(name = "platform", version, after_help = EXIT_CODES)]
struct Arguments {
    /// A folder with essays: text files in UTF-8.
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../file-service/essays"))]
    essays: PathBuf,

    /// The folder with Hunspell's dictionaries `en_US` and `sv_SE`. On Debian: apt install hunspell-en-us hunspell-sv
    #[arg(
        long,
        value_name = "PATH",
        env = "DICTIONARIES",
        default_value = "/usr/share/hunspell"
    )]
    dictionaries: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was committed arrived.
async fn run(arguments: &Arguments) -> Result<bool> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let essays = files::read(&arguments.essays)?;
    if essays.is_empty() {
        bail!(
            "there is no essay in {}: put text files there",
            arguments.essays.display()
        );
    }
    let broker = TestBroker::mock_kafka();
    let platform = Platform::start(folder.path(), &broker, &arguments.dictionaries).await?;
    println!(
        "{} essays are handed in, one of which is too short",
        essays.len() + 1
    );
    let batch = platform.register(essays.len() + 1).await?;
    files::upload(&platform, &batch, &essays).await?;

    let ended = tokio::time::timeout(PATIENCE, platform.ended(&batch)).await;
    let status = ended.context("the batch did not end in two minutes")??;
    println!("the batch is {status}\n");
    println!("{}", report::table(&platform, &batch).await?);
    platform.relayed().await?;
    let verdict = verdict::of(&platform, &broker).await?;
    println!("{verdict}");
    platform.stop().await?;
    Ok(verdict.holds())
}
