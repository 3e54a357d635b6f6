//! The `outbox` command line: migrations, relay, status.
//!
//! Results go to stdout; progress, logs and errors go to stderr. [`Exit`] is what the process ends with.
//! A password that is part of a database URL is never printed.

mod address;
mod arguments;
mod artifact;
mod command;
mod connect;
mod environment;
mod exit;
mod failure;
mod logging;
mod progress;
mod redaction;
mod signals;

use std::ffi::OsString;

use clap::Parser;

use arguments::{Arguments, Command};
pub use exit::Exit;
use failure::Failure;

/// Runs the command line with these arguments, the program's name first, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let raw: Vec<OsString> = arguments.into_iter().collect();
    // Options read variables while they are parsed, so the file has to come first.
    if let Err(failure) = environment::load(&raw) {
        return failure.report();
    }
    match Arguments::try_parse_from(&raw) {
        Ok(arguments) => execute(arguments.command).unwrap_or_else(|failure| failure.report()),
        Err(error) => arguments::explain(&error, &raw),
    }
}

#[tokio::main]
async fn execute(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::DeadLetters(letters) => command::dead_letters::run(letters.what).await,
        Command::Generate(generate) => command::generate::run(generate),
        Command::Migrate(migrate) => command::migrate::run(migrate).await,
        Command::Status(status) => command::status::run(status).await,
        Command::Relay(relay) => command::relay::run(relay).await,
    }
}
