//! The `outbox` command line: catalog, migrations, relay, status.
//!
//! Results go to stdout; progress, logs and errors go to stderr. [`Exit`] is the exit code of the process. A
//! password in a database URL is never printed.

// They panic where the reader of stdout or stderr is gone: `command::print` and `say` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod acls;
mod address;
mod alerts;
mod arguments;
mod artifact;
mod asyncapi;
mod catalog;
mod command;
mod config;
mod connect;
mod consumers;
mod dashboard;
mod debezium;
mod doctor;
mod duration;
mod environment;
mod exit;
mod failure;
mod init;
mod logging;
mod metrics_server;
mod migration;
#[cfg(feature = "tls")]
mod oidc;
#[cfg(feature = "otlp")]
mod otlp;
mod password;
mod progress;
mod promql;
mod properties;
mod redaction;
mod say;
mod signals;
mod topics;

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;

use arguments::{Arguments, Command};
pub use exit::Exit;
use failure::Failure;

/// Runs the command line with these arguments, the program's name first, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let raw: Vec<OsString> = arguments.into_iter().collect();
    // Options read variables while they are parsed, so the file has to come first.
    if let Err(failure) = environment::load(&raw) {
        return failure.report();
    }
    match Arguments::try_parse_from(&raw) {
        Ok(arguments) => begin(arguments.command).unwrap_or_else(|failure| failure.report()),
        Err(error) => arguments::explain(&error, &raw),
    }
}

/// How long what is left in other threads may hold up the process's end.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn begin(command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("cannot start threads").because(error))?;
    let ended = runtime.block_on(execute(command));
    // A client that waits for its broker in a thread of its own is not waited for in its turn.
    runtime.shutdown_timeout(LEFT_BEHIND);
    ended
}

async fn execute(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Catalog(catalog) => command::catalog::run(catalog),
        Command::DeadLetters(arguments) => command::dead_letters::run(arguments.what).await,
        Command::Generate(generate) => command::generate::run(generate),
        Command::Init(init) => command::init::run(init),
        Command::Migrate(migrate) => command::migrate::run(migrate).await,
        Command::Migration(migration) => command::migration::run(migration).await,
        Command::Schema(schema) => command::schema::run(schema),
        Command::Health(health) => command::health::run(health).await,
        Command::Status(status) => command::status::run(status).await,
        Command::Inspect(inspect) => command::inspect::run(inspect).await,
        Command::Pause(pause) => command::pause::pause(pause).await,
        Command::Resume(resume) => command::pause::resume(resume).await,
        Command::Skip(skip) => command::skip::run(skip).await,
        Command::Rewind(rewind) => command::rewind::run(rewind).await,
        Command::Throttle(throttle) => command::throttle::run(throttle).await,
        Command::Mode(mode) => command::mode::run(mode).await,
        Command::Shadow(shadow) => command::shadow::run(shadow).await,
        Command::Audit(audit) => command::pause::audit(audit).await,
        Command::Prune(prune) => command::prune::run(prune).await,
        Command::Doctor(doctor) => command::doctor::run(doctor).await,
        Command::Tail(tail) => command::tail::run(tail).await,
        Command::Top(top) => command::top::run(top).await,
        Command::Adopt(adopt) => command::adopt::run(adopt).await,
        Command::Fork(fork) => command::fork::run(fork).await,
        Command::Relay(relay) => command::relay::run(relay).await,
        Command::Topics(topics) => command::topics::run(topics).await,
        Command::Config(configuration) => command::config::run(configuration),
        Command::Completions(completions) => command::completions::run(completions),
    }
}
