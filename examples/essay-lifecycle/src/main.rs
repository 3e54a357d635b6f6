//! The Essay Lifecycle Service as a process.

use std::process::ExitCode;

use clap::Parser;
use essay_lifecycle::EssayLifecycle;
use service_kit::Settings;

/// Makes files the essays of a batch, and announces when a batch is complete.
#[derive(Debug, Parser)]
#[command(name = "essay-lifecycle", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::main(Arguments::parse().settings, EssayLifecycle).await
}
