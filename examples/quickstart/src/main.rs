//! `cargo run -p quickstart`: orders are written, the broker fails and returns, and every event arrives.
//!
//! [`shop`] is what a service contains: events, a table, a transaction. The rest is the demonstration: [`play`] runs
//! it, [`writers`] place the orders, [`ledger`] records what was committed, [`consumer`] what arrived.

mod consumer;
mod ledger;
mod play;
mod report;
mod shop;
#[cfg(test)]
mod verdict_tests;
mod writers;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

const EXIT_CODES: &str = "\
Exit codes:
  0  every committed event arrived, in order, and nothing else did
  1  an event is missing, unexpected or out of order; or the run failed
  2  wrong usage";

/// Writes orders and their events, stops and restarts the broker, and checks what arrived.
///
/// A shop writes orders in concurrent transactions; each order has two events, and some transactions roll back. A relay
/// in the same process delivers, a consumer reads, and a checker compares what was committed with what arrived. The
/// database is a SQLite file in a temporary folder; the broker is librdkafka's mock cluster.
#[derive(Debug, Clone, Parser)]
#[command(name = "quickstart", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Number of orders; one in eight is rolled back.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    orders: u32,

    /// Number of concurrent transactions.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    writers: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("outbox_runtime=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match play::run(arguments.orders, arguments.writers).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.holds()))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }
}
