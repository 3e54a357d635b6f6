//! The command line: a file for each command, and one for shared options.

mod adopt;
mod alerts;
mod catalog;
mod completions;
mod config;
mod dead_letters;
mod doctor;
mod fork;
mod generate;
mod health;
mod init;
mod inspect;
mod migrate;
mod migration;
mod mode;
mod pause;
mod prune;
mod relay;
pub(crate) mod retention;
mod rewind;
mod schema;
mod shadow;
pub(crate) mod shared;
mod skip;
mod status;
mod tail;
mod throttle;
mod top;
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
pub(crate) use config::{Configuration, ConfigurationCommand, ConfigurationShow};
pub(crate) use dead_letters::{
    DeadLetters, DeadLettersCommand, Discard, List, Replay, Selection, Show, State, Where,
};
pub(crate) use doctor::Doctor;
pub(crate) use fork::Fork;
pub(crate) use generate::{
    Generate, GenerateAcls, GenerateAlerts, GenerateAll, GenerateAsyncapi, GenerateConfigSchema,
    GenerateConsumers, GenerateDashboard, GenerateDebezium, GenerateMigration, GenerateRoles,
    GenerateSchemas, Generated,
};
pub(crate) use health::Health;
pub(crate) use init::Init;
pub(crate) use inspect::Inspect;
pub(crate) use migrate::Migrate;
pub(crate) use migration::{Migration, MigrationCheck, MigrationCommand, RoleName};
pub(crate) use mode::{Mode, ModeCommand, ModeList, ModeSet};
pub(crate) use pause::{Audit, Pause, Resume};
pub(crate) use prune::Prune;
pub(crate) use relay::Relay;
pub(crate) use rewind::Rewind;
pub(crate) use schema::{Schema, SchemaCheck, SchemaCommand};
pub(crate) use shadow::{Shadow, ShadowCommand, ShadowReport};
pub(crate) use skip::Skip;
pub(crate) use status::Status;
pub(crate) use tail::Tail;
pub(crate) use throttle::Throttle;
pub(crate) use top::Top;
pub(crate) use topics::{Topics, TopicsCommand, TopicsOptions};

/// Transactional outbox for PostgreSQL, SQLite and Kafka.
#[derive(Debug, Parser)]
#[command(name = "outbox", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Do not load a `.env` file.
    // Read by `environment::load`, before the rest is parsed.
    #[arg(long, global = true)]
    no_dotenv: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the events that a crate declares.
    Catalog(Catalog),
    /// Generate migrations, schemas, AsyncAPI documents, consumer code and connector configuration.
    Generate(Generate),
    /// Add the outbox to an existing service: write the first files and print the lines to add.
    Init(Init),
    /// Create or upgrade the outbox tables. Does nothing if they are up to date.
    Migrate(Migrate),
    /// Inspect the outbox schema of a database.
    Migration(Migration),
    /// Check that changes of events are compatible.
    Schema(Schema),
    /// Show the backlog, the active relay and the dead letters.
    Status(Status),
    /// Check whether messages can be committed and are being delivered.
    Health(Health),
    /// Check configuration, database and Kafka, and print a correction for each finding. Changes nothing.
    ///
    /// Reads the system catalogs, statistics and the newest messages. With --brokers, it also reads the
    /// settings of brokers and topics. The rights of a reader suffice. If the role lacks a right for a check,
    /// a note names the GRANT.
    Doctor(Doctor),
    /// Show the live state of the log in the terminal.
    Top(Top),
    /// Show the state of messages: waiting, parked, dead, acknowledged with partition and offset, or pruned.
    ///
    /// Reads the database, and with --brokers also the topics. Changes nothing in either.
    Inspect(Inspect),
    /// Print messages as they are committed, whether or not they are delivered.
    ///
    /// Prints each committed message once, and the messages of a key in their order. Uses one connection, writes
    /// nothing and needs the rights of a reader. Exits with 0 on SIGINT and SIGTERM.
    Tail(Tail),
    /// Continue a log that a restore or an upgrade moved to this database.
    ///
    /// Delivered messages are not sent again, and undelivered messages are not skipped. Run it when the
    /// restore is complete. Services may already write messages. It also recreates missing rows of the cursor
    /// and the lease. Does nothing if the log was not moved.
    Adopt(Adopt),
    /// Separate a copied log, such as that of a staging system, from its original.
    ///
    /// Messages that are already in the copy count as delivered, because the original delivers them. Messages
    /// that are written later are sent. Run it before services write to the copy: what they have already
    /// written to it is only sent with --send-backlog.
    Fork(Fork),
    /// List, show, replay or discard messages that could not be delivered.
    DeadLetters(DeadLetters),
    /// Pause the log, a topic or a key. Its messages wait in order until `outbox resume`.
    ///
    /// Running relays apply it within a second. Messages in flight are still delivered. Services continue to write.
    Pause(Pause),
    /// Resume the log, a topic or a key. The waiting messages are sent first.
    Resume(Resume),
    /// Skip a message: store it in the dead letters instead of sending it. Later messages of its key are
    /// sent.
    ///
    /// A message in the log is skipped when the relay reaches it, and the command waits for that. A parked or
    /// dead message is skipped at once. `outbox dead-letters replay` sends a skipped message.
    Skip(Skip),
    /// Send delivered messages again, with the same ids, from a time or a message on.
    ///
    /// Without --send-again, it only prints a preview: the number of messages. Only messages that are still in the log
    /// can be sent. Consumers receive them again, also with exactly-once delivery, and must recognize their
    /// ids. Services, relays and pruners can run meanwhile.
    Rewind(Rewind),
    /// Limit the messages or bytes per second of the log or of a topic.
    ///
    /// Running relays apply it within a second.
    Throttle(Throttle),
    /// Choose how events reach Kafka: through the log, directly, or in parallel with the service's own publishing.
    Mode(Mode),
    /// Compare the records that a service publishes with the records that the outbox would send.
    Shadow(Shadow),
    /// List the changes by operators, newest first: who changed what, when and why.
    Audit(Audit),
    /// Delete delivered messages and old dead letters once.
    ///
    /// Deletes only messages that the cursor in the database has passed. It uses small transactions with
    /// pauses between them. Relays, writers and other runs of it may run at the same time. A relay with
    /// --retention does the same continuously.
    Prune(Prune),
    /// Deliver committed messages to Kafka.
    ///
    /// Any number of relays may run on one database: one is active, the others are on standby. During outages
    /// of the database or of Kafka, the relay retries indefinitely. On SIGTERM or SIGINT, the relay waits for
    /// messages in flight, releases the lease and exits with 0.
    Relay(Relay),
    /// Compare Kafka's topics with the events and `outbox.toml`, and create missing topics.
    Topics(Topics),
    /// Show the configuration.
    Config(Configuration),
    /// Generate shell completions.
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
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::CommandFactory;

    use super::*;

    /// The README and every page of the documentation.
    fn pages() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        for folder in ["docs", "docs/guide", "docs/decisions"] {
            let entries = fs::read_dir(root.join(folder)).unwrap();
            pages.extend(entries.map(|entry| entry.unwrap().path()));
        }
        pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
        pages
    }

    /// The commands `outbox …` in the shell blocks of a page, without comments.
    fn commands(page: &str) -> Vec<String> {
        let blocks = page.split("```").skip(1).step_by(2);
        let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
        shell
            .flat_map(str::lines)
            .map(|line| line.split(" #").next().unwrap_or(line))
            .map(|line| line.split(" > ").next().unwrap_or(line).trim())
            .filter(|line| line.starts_with("outbox "))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_documented_command_is_one() {
        let mut found = 0;
        for page in pages() {
            for command in commands(&fs::read_to_string(&page).unwrap()) {
                found += 1;
                let mut words: Vec<&str> = command.split_whitespace().collect();
                // What the environment usually says.
                let takes = |option| {
                    let help = Arguments::try_parse_from(words.iter().copied().chain(["--help"]));
                    // Behind `--`, it is a word of another command.
                    help.is_err_and(|help| help.to_string().contains(option))
                };
                let (database, brokers) = (takes("--database-url"), takes("--brokers"));
                if database && !command.contains("--database-url") {
                    words.extend(["--database-url", "postgres://localhost/shop"]);
                }
                if brokers && !command.contains("--brokers") {
                    words.extend(["--brokers", "localhost:9092"]);
                }
                if let Err(error) = Arguments::try_parse_from(&words) {
                    panic!("{}: `{command}`: {error}", page.display());
                }
            }
        }
        assert!(found > 40, "only {found} commands were found");
    }

    #[test]
    fn the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }
}
