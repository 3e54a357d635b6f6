//! The `outbox` command line: catalog, migrations, relay, status.
//!
//! Results go to stdout; progress, logs and errors go to stderr. [`Exit`] is what the process ends with.
//! A password that is part of a database URL is never printed.

mod address;
mod arguments;
mod artifact;
mod asyncapi;
mod catalog;
mod command;
mod config;
mod connect;
mod consumers;
mod debezium;
mod environment;
mod exit;
mod failure;
mod init;
mod logging;
mod migration;
mod progress;
mod properties;
mod redaction;
mod signals;
mod topics;

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
        Command::Catalog(catalog) => command::catalog::run(catalog),
        Command::DeadLetters(letters) => command::dead_letters::run(letters.what).await,
        Command::Generate(generate) => command::generate::run(generate),
        Command::Init(init) => command::init::run(init),
        Command::Migrate(migrate) => command::migrate::run(migrate).await,
        Command::Migration(migration) => command::migration::run(migration).await,
        Command::Schema(schema) => command::schema::run(schema),
        Command::Status(status) => command::status::run(status).await,
        Command::Adopt(adopt) => command::adopt::run(adopt).await,
        Command::Fork(fork) => command::fork::run(fork).await,
        Command::Relay(relay) => command::relay::run(relay).await,
        Command::Topics(topics) => command::topics::run(topics).await,
        Command::Completions(completions) => command::completions::run(completions),
    }
}
