//! `cargo run -p platform`: a class's essays go through all services, and the ranking comes out.
//!
//! Each service is a process with a database and a relay of its own, and speaks to the others through Kafka alone.
//! [`services`] starts them, [`files`] hands the essays in, [`chaos`] kills what there is, [`verdict`] compares what was
//! committed with what is in the broker, and [`page`] shows it.

mod again;
mod arguments;
mod chaos;
mod database;
mod demo;
mod files;
#[cfg(feature = "postgres")]
mod measure;
mod page;
mod part;
mod process;
mod report;
mod rows;
mod services;
mod stages;
#[cfg(not(feature = "postgres"))]
mod stand_in;
mod story;
mod verdict;
mod view;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { part, demo } = Arguments::parse();
    if let Some(part) = part {
        return part::run(part).await;
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match demo::run(&demo).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
