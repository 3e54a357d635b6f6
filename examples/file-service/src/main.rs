//! The File Service as a process.

use std::process::ExitCode;

use clap::Parser;
use file_service::Config;

/// Takes essays, checks them, and announces each step through a transactional outbox.
#[derive(Debug, Parser)]
#[command(name = "file-service", version)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Variables that are set already win; no file is no error.
    let _ = dotenvy::dotenv();
    file_service::main(Arguments::parse().config).await
}
