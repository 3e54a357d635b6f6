//! The CJ Assessment Service as a process.

use std::process::ExitCode;

use cj_assessment::CjAssessment;
use clap::Parser;
use service_kit::{Settings, Texts};

/// Ranks the essays of a batch by comparative judgement.
#[derive(Debug, Parser)]
#[command(name = "cj-assessment", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Arguments::parse().settings;
    let texts = Texts::new(&settings.content_dir);
    service_kit::main(settings, CjAssessment { texts }).await
}
