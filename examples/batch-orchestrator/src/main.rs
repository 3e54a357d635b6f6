//! The Batch Orchestrator as a process.

use std::process::ExitCode;

use batch_orchestrator::BatchOrchestrator;
use clap::Parser;
use service_kit::Settings;

/// Registers batches of essays and takes them through their phases.
#[derive(Debug, Parser)]
#[command(name = "batch-orchestrator", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::main(Arguments::parse().settings, BatchOrchestrator).await
}
