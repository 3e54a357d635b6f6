//! The File Service as a process: settings in, signals in, logs out.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use file_service::{Config, Service};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Takes essays, checks them, and tells of each step through a transactional outbox.
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
    let config = Arguments::parse().config;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &*error as &dyn Error, "the service failed");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let service = Service::start(config).await?;
    tracing::info!(address = %service.address(), "listening");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = service.failed() => {}
    }
    tracing::info!("stopping: open requests and uploads end first");
    Ok(service.stop().await?)
}
