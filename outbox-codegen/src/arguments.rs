//! The command line's shape.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use outbox_runtime::Tables;
use outbox_runtime::schema::Dialect;

use crate::Exit;
use crate::exit::EXIT_CODES;
use crate::failure::Failure;
use crate::redaction::redact;

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
    /// Write files that other tools work with.
    Generate(Generate),
    /// Make the outbox's tables in a database, or bring them to this version. Harmless when repeated.
    Migrate(Migrate),
    /// Say how far the relay is behind, who relays, and what could not be delivered.
    Status(Status),
    /// Deliver committed messages to Kafka.
    ///
    /// Any number of relays may run on one database: one is active, the others stand by. Servers that are away
    /// are waited for. SIGTERM or SIGINT: settles what was handed over, gives the lease back, exits 0.
    Relay(Relay),
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Generated,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Write the outbox's tables as a reversible migration for sqlx; `psql` and `sqlite3` take it as well.
    Migration(GenerateMigration),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateMigration {
    /// The database to write SQL for.
    #[arg(long, value_enum)]
    pub(crate) database: Database,

    /// The directory of the migrations; it is made if it is missing.
    #[arg(long, value_name = "PATH", default_value = "migrations")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Write nothing; exit 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files that differ.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Relay {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Kafka's brokers: `host:port`, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…", env = "KAFKA_BROKERS")]
    pub(crate) brokers: String,

    /// Stop once no committed message is left to deliver.
    #[arg(long)]
    pub(crate) until_empty: bool,

    /// The CloudEvents source of messages that name none [default: /<database name>].
    #[arg(long, value_name = "URI-REFERENCE")]
    pub(crate) source: Option<String>,

    /// A property of librdkafka, such as `compression.type=lz4`; may be repeated.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// How long a stop waits for messages that are on their way.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) shutdown_timeout: Duration,

    /// How long the active relay may be silent before a standby takes over.
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = duration)]
    pub(crate) lease_ttl: Duration,

    /// Assume Kafka's default limits of topics, for a broker that cannot be asked for them.
    #[arg(long)]
    pub(crate) assume_topic_limits: bool,

    /// Also send the headers ce_time and ce_subject.
    #[arg(long)]
    pub(crate) time_and_subject: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DatabaseUrl {
    /// The database: `postgres://user:password@host:port/name` or `sqlite:path`.
    // Not parsed here: the parser's errors would print it with its password.
    #[arg(
        id = "database_url",
        short = 'D',
        long = "database-url",
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectTimeout {
    /// How long to wait for the server's answer.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) connect_timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct TableNames {
    /// The PostgreSQL schema of the tables [default: what search_path leads to].
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,

    /// What the tables' names begin with.
    #[arg(long, value_name = "NAME", default_value = "outbox_")]
    prefix: String,
}

impl TableNames {
    /// The names, if this database can have them.
    pub(crate) fn tables(&self, dialect: Dialect) -> Result<Tables, Failure> {
        if dialect == Dialect::Sqlite && self.schema.is_some() {
            return Err(Failure::usage("SQLite has no schemas").advise("leave --schema out, or use --prefix"));
        }
        Tables::new(self.schema.as_deref(), &self.prefix).map_err(|error| Failure::usage(error.to_string()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    Postgres,
    Sqlite,
}

impl From<Database> for Dialect {
    fn from(database: Database) -> Self {
        match database {
            Database::Postgres => Self::Postgres,
            Database::Sqlite => Self::Sqlite,
        }
    }
}

/// `500ms`, `10s`, `2m`, `1h`; seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "write a whole number and ms, s, m or h, such as 10s")?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        _ => return Err(format!("`{unit}` is no unit: use ms, s, m or h")),
    }
    .ok_or_else(|| "that is too long".to_owned())
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
    eprint!("{text}");
    if error.kind() == ErrorKind::MissingRequiredArgument {
        eprintln!("DATABASE_URL and KAFKA_BROKERS are read from the environment and from a `.env` file.");
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

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), duration("10s"));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "1.5s", "-1s", "5 s", "1d", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
