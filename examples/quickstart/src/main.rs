//! `cargo run -p quickstart`: orders are written, the broker goes away and comes back, everything arrives.
//!
//! [`shop`] is what a service looks like: an event, a table, a transaction. The rest runs it hard and checks
//! what comes out: [`play`] tells the story, [`ledger`] knows what was committed, [`consumer`] what arrived.

mod arguments;
mod broker;
mod consumer;
mod database;
mod ledger;
mod play;
mod progress;
mod report;
mod shop;
#[cfg(test)]
mod verdict_tests;
mod writers;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    match play::run(&Arguments::parse()).await {
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
