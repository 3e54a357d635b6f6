//! The command line's shape: a file for each command, and one for what several share.

mod adopt;
mod catalog;
mod completions;
mod dead_letters;
mod fork;
mod generate;
mod init;
mod migrate;
mod migration;
mod relay;
mod schema;
pub(crate) mod shared;
mod status;
mod topics;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::Exit;
use crate::exit::EXIT_CODES;
use crate::redaction::redact;
use crate::say::{say, say_as_is};

pub(crate) use adopt::Adopt;
pub(crate) use catalog::Catalog;
pub(crate) use completions::Completions;
pub(crate) use dead_letters::{
    DeadLetters, DeadLettersCommand, Discard, List, Replay, Selection, Show, State, Where,
};
pub(crate) use fork::Fork;
pub(crate) use generate::{
    Format, Generate, GenerateAll, GenerateAsyncapi, GenerateConfigSchema, GenerateConsumers,
    GenerateDebezium, GenerateMigration, GenerateSchemas, Generated,
};
pub(crate) use init::Init;
pub(crate) use migrate::Migrate;
pub(crate) use migration::{Migration, MigrationCheck, MigrationCommand, RoleName};
pub(crate) use relay::Relay;
pub(crate) use schema::{Schema, SchemaCheck, SchemaCommand};
pub(crate) use shared::Database;
pub(crate) use status::Status;
pub(crate) use topics::{Topics, TopicsCommand, TopicsOptions};

/// Transactional outbox: migrations, relay, status.
#[derive(Debug, Parser)]
#[command(name = "outbox", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Do not load variables from a `.env` file.
    // Read by `environment::load`, before the rest is parsed.
    #[arg(long, global = true)]
    no_dotenv: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the events that a crate declares, with topic, key and version.
    Catalog(Catalog),
    /// Write files that other tools work with.
    Generate(Generate),
    /// Begin in an existing service: write `outbox.toml`, the migration and a first event, and print what to paste.
    Init(Init),
    /// Make the outbox's tables in a database, or bring them to this version. Harmless when repeated.
    Migrate(Migrate),
    /// Look after a database's tables.
    Migration(Migration),
    /// Keep events compatible.
    Schema(Schema),
    /// Say how far the relay is behind, who relays, and what could not be delivered.
    Status(Status),
    /// Go on with a log that was moved here: a restored dump, an upgraded cluster. Harmless when repeated.
    ///
    /// Nothing that was delivered is sent again, and nothing that was not is left out. Run it when the restore is
    /// complete; messages may be written meanwhile. Also puts back lost rows of the cursor and the lease.
    Adopt(Adopt),
    /// Make a copy of a log a log of its own, such as a staging system's.
    ///
    /// What is in the copy counts as delivered, and what is written from now on is sent. What was copied is for the
    /// original to send. What was written in the copy before is not told from it, and nobody sends it: run this before
    /// services write, or use --send-backlog.
    Fork(Fork),
    /// Look at messages that could not be delivered, have them sent again, or discard them.
    DeadLetters(DeadLetters),
    /// Deliver committed messages to Kafka.
    ///
    /// Any number of relays may run on one database: one is active, the others stand by. Servers that are away
    /// are waited for. SIGTERM or SIGINT: settles what was handed over, gives the lease back, exits 0.
    Relay(Relay),
    /// Compare Kafka's topics with what the events and `outbox.toml` say, and create those that are missing.
    Topics(Topics),
    /// Print what a shell completes this command line with.
    Completions(Completions),
}

/// Prints what the parser has to say: help and version to stdout, errors to stderr without passwords.
pub(crate) fn explain(error: &clap::Error, arguments: &[OsString]) -> Exit {
    if !error.use_stderr() {
        // A closed pipe is no failure of ours.
        let _ = error.print();
        return Exit::Done;
    }
    let rendered = error.render();
    let text = if std::io::stderr().is_terminal() {
        rendered.ansi().to_string()
    } else {
        rendered.to_string()
    };
    let text = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .fold(text, |text, argument| {
            let redacted = redact(argument);
            if redacted == argument {
                text
            } else {
                text.replace(argument, &redacted)
            }
        });
    say_as_is(text);
    if error.kind() == ErrorKind::MissingRequiredArgument {
        say("DATABASE_URL and KAFKA_BROKERS are read from the environment and from a `.env` file.");
    }
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_shape_is_sound() {
        Arguments::command().debug_assert();
    }
}
