//! The Result Aggregator as a process.

use std::process::ExitCode;

use clap::Parser;
use result_aggregator::ResultAggregator;
use service_kit::Settings;

/// Joins the results of batches and serves them.
#[derive(Debug, Parser)]
#[command(name = "result-aggregator", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::main(Arguments::parse().settings, ResultAggregator).await
}
