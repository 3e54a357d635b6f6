//! `outbox generate …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::alerts::ThresholdOptions;
use super::shared::{CatalogOptions, Partitions, TableNames, TopicPrefix, Writing};
use crate::acls::Client;
use crate::catalog::CatalogSource;
use crate::config::{ConfigFile, Database, Format, Language, Payloads};
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Generate {
    #[command(subcommand)]
    pub(crate) what: Option<Generated>,

    #[command(flatten)]
    pub(crate) all: GenerateAll,
}

/// The files listed in `outbox.toml`.
#[derive(Debug, Args)]
pub(crate) struct GenerateAll {
    /// Write every file listed in `outbox.toml`.
    #[arg(long, required = true)]
    all: bool,

    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Generated {
    /// Generate a reversible migration that creates the outbox tables, or upgrades those of an older version.
    Migration(GenerateMigration),
    /// Generate configuration for Kafka Connect and Debezium, which can replace the relay.
    Debezium(GenerateDebezium),
    /// Generate code that decodes the events in consumers.
    Consumers(GenerateConsumers),
    /// Generate the JSON Schema of `outbox.toml`, for editors.
    ConfigSchema(GenerateConfigSchema),
    /// Generate a JSON Schema for each event with `#[outbox(schema)]`: `<type>.v<N>.json`.
    Schemas(GenerateSchemas),
    /// Generate an AsyncAPI 3.1 document of the events.
    Asyncapi(GenerateAsyncapi),
    /// Generate recording and alerting rules for Prometheus.
    Alerts(GenerateAlerts),
    /// Generate a Grafana dashboard.
    Dashboard(GenerateDashboard),
    /// Print SQL that creates one PostgreSQL role for each kind of work, with exactly the rights that it
    /// needs.
    ///
    /// Run the SQL as the owner of the tables, with the right to create roles. It may be run again. The roles
    /// cannot log in. Grant each role to the user that does the work, such as `GRANT outbox_relay TO relay`.
    Roles(GenerateRoles),
    /// Print a script of `kafka-acls.sh` commands that gives each kind of client exactly the rights that it
    /// needs.
    ///
    /// The topics are those of the events and of `outbox.toml`. Run the script as a user that may change
    /// ACLs. It may be run again.
    Acls(GenerateAcls),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAcls {
    /// Kind of client; may be repeated [default: all].
    #[arg(long, value_enum, value_name = "CLIENT")]
    pub(crate) client: Vec<Client>,

    /// The relay's user: the name behind the login, or the certificate's subject.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:outbox-relay", value_parser = principal)]
    pub(crate) relay_principal: String,

    /// The consumers' user.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:outbox-consumer", value_parser = principal)]
    pub(crate) consumer_principal: String,

    /// The operators' user.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:outbox-operator", value_parser = principal)]
    pub(crate) operator_principal: String,

    /// Group of the consumers; may be repeated.
    #[arg(long, value_name = "GROUP")]
    pub(crate) consumer_group: Vec<String>,

    /// Topic of the cursor in exactly-once delivery.
    #[arg(
        long,
        value_name = "TOPIC",
        default_value = "outbox-cursors",
        env = "OUTBOX_CURSOR_TOPIC"
    )]
    pub(crate) cursor_topic: String,

    /// Prefix of the transactional ids in exactly-once delivery.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "outbox-",
        env = "OUTBOX_TRANSACTIONAL_ID_PREFIX"
    )]
    pub(crate) transactional_id_prefix: String,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Print the rules as JSON, for other tools.
    #[arg(long)]
    pub(crate) json: bool,
}

fn principal(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(format!("write the kind and the name, such as User:{text}")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateRoles {
    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Prefix of the roles' names: `<prefix>writer`, `<prefix>relay`, `<prefix>operator`, `<prefix>reader`, `<prefix>pruner`.
    #[arg(long, value_name = "PREFIX", default_value = "outbox_", value_parser = role_prefix)]
    pub(crate) role_prefix: String,
}

/// It is put into SQL as it is. PostgreSQL cuts names at 63 bytes.
fn role_prefix(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_well = !text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    match begins_well && text.len() <= 50 && !text.starts_with("pg_") && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(
            "write at most 50 lower-case letters, digits and underscores that begin with neither a digit nor pg_"
                .to_owned(),
        ),
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAlerts {
    /// The file of the rules [default: from outbox.toml, or outbox.rules.yml].
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// URL or directory of the runbooks that alerts link to [default: from outbox.toml, or docs/runbooks].
    #[arg(long, value_name = "URL")]
    pub(crate) runbooks: Option<String>,

    #[command(flatten)]
    pub(crate) thresholds: ThresholdOptions,

    #[command(flatten)]
    pub(crate) config: ConfigOption,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateDashboard {
    /// The file of the dashboard [default: from outbox.toml, or outbox.dashboard.json].
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// Title of the dashboard [default: from outbox.toml, or Outbox].
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// Identifier of the dashboard in Grafana's links [default: from outbox.toml, or outbox].
    #[arg(long, value_name = "NAME", value_parser = crate::dashboard::uid)]
    pub(crate) uid: Option<String>,

    #[command(flatten)]
    pub(crate) thresholds: ThresholdOptions,

    #[command(flatten)]
    pub(crate) config: ConfigOption,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// The configuration of a command that needs no events.
#[derive(Debug, Args)]
pub(crate) struct ConfigOption {
    /// Configuration file [default: outbox.toml in the package or in the current directory].
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl ConfigOption {
    /// The configuration file, if there is one.
    pub(crate) fn search(&self) -> Result<Option<ConfigFile>, Failure> {
        ConfigFile::search(&CatalogSource {
            config: self.config.clone(),
            ..CatalogSource::default()
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateMigration {
    /// The database system.
    #[arg(long, value_enum)]
    pub(crate) database: Database,

    /// Directory of the migrations; created if missing.
    #[arg(long, value_name = "PATH", default_value = "migrations")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) partitions: Partitions,

    /// Migration tool [default: the tool of the existing migrations, or sqlx].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Alembic revision that a new revision follows [default: the directory's only head].
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    pub(crate) down_revision: Option<String>,

    /// Write nothing; exit with 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite edited files of the newest step; files of older steps are never overwritten.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateDebezium {
    /// Directory of the files; created if missing.
    #[arg(long, value_name = "PATH", default_value = "debezium")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) tables: TableNames,

    /// Name of connectors, publications and replication slots; unique on the PostgreSQL server.
    #[arg(long, value_name = "NAME", default_value = "outbox")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,

    /// Kinds of payloads in the outbox.
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) payloads: Payloads,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateConsumers {
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Language of the consumers.
    #[arg(long = "lang", value_enum, value_name = "LANGUAGE")]
    pub(crate) language: Language,

    /// Directory of the files; created if missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateConfigSchema {
    /// Directory of the file `outbox.schema.json`; created if missing.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// It is put into Python as it is.
fn revision(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write the id of a revision, as in `alembic heads`".to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateSchemas {
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Directory of the schemas; created if missing [default: from outbox.toml, or schemas].
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateAsyncapi {
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    #[command(flatten)]
    pub(crate) prefix: TopicPrefix,

    /// File of the document.
    #[arg(long, value_name = "FILE", default_value = "asyncapi.json")]
    pub(crate) file: PathBuf,

    /// Also write the document as one HTML page that works offline.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Title of the document [default: the package's name].
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// Version of the document.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) version: String,

    #[command(flatten)]
    pub(crate) writing: Writing,
}
