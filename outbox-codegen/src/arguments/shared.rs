//! Options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outbox_runtime::Tables;
use outbox_runtime::schema::{Dialect, Layout};

use crate::address::Address;
use crate::catalog::CatalogSource;
use crate::config::PartitionRows;
use crate::duration::duration;
use crate::failure::Failure;
use crate::password;

#[derive(Debug, Args)]
pub(crate) struct DatabaseUrl {
    /// Database: `postgres://user:password@host:port/name` or `sqlite:path`.
    // Not parsed here: the parser's errors would print it with its password.
    #[arg(
        id = "database_url",
        short = 'D',
        long = "database-url",
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true
    )]
    url: String,

    /// File that contains the database's password, instead of a password in the URL. A relay reads it
    /// whenever it connects.
    #[arg(long, value_name = "PATH", env = "DATABASE_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

impl DatabaseUrl {
    /// The database, with the password that the file holds now.
    pub(crate) fn address(&self) -> Result<Address, Failure> {
        let address = Address::parse(&self.url)?;
        match &self.password_file {
            None => Ok(address),
            Some(path) => {
                let password = password::read(path).map_err(|error| {
                    Failure::usage("the database's password cannot be read").because(error)
                })?;
                address.with_password(&password)
            }
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ConnectTimeout {
    /// Maximum time to wait for the server.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, env = "OUTBOX_CONNECT_TIMEOUT")]
    pub(crate) connect_timeout: Duration,
}

/// Source of the events: a crate, which is compiled, or a catalog file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CatalogOptions {
    /// Cargo.toml of the crate that declares the events [default: the nearest one].
    #[arg(long, value_name = "PATH", conflicts_with = "catalog")]
    pub(crate) manifest_path: Option<PathBuf>,

    /// Package, if the workspace has several.
    #[arg(short, long, value_name = "NAME", conflicts_with = "catalog")]
    pub(crate) package: Option<String>,

    /// Features to compile the package with, separated by commas; may be repeated.
    #[arg(long, value_name = "FEATURES", conflicts_with = "catalog")]
    pub(crate) features: Vec<String>,

    /// Compile the package with all features.
    #[arg(long, conflicts_with = "catalog")]
    pub(crate) all_features: bool,

    /// Compile the package without its default features.
    #[arg(long, conflicts_with = "catalog")]
    pub(crate) no_default_features: bool,

    /// Dependencies whose events the package also sends, separated by commas; may be repeated.
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "catalog")]
    pub(crate) include: Vec<String>,

    /// Configuration file [default: outbox.toml in the package or in the current directory].
    #[arg(long, value_name = "PATH", env = "OUTBOX_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Read the output of `outbox catalog --json` instead of compiling; `-` is stdin.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
}

impl CatalogOptions {
    /// What the command line says of the events' source.
    pub(crate) fn source(&self) -> CatalogSource {
        let Self {
            manifest_path,
            package,
            features,
            all_features,
            no_default_features,
            include,
            config,
            catalog,
        } = self.clone();
        CatalogSource {
            manifest_path,
            package,
            features,
            all_features,
            no_default_features,
            include,
            config,
            catalog,
        }
    }
}

/// Topic names in a cluster that several environments share.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TopicPrefix {
    /// Prefix of the topics' names in the cluster, such as `dev.` [default: from outbox.toml, or none].
    #[arg(long, value_name = "PREFIX", env = "OUTBOX_TOPIC_PREFIX")]
    topic_prefix: Option<String>,
}

impl TopicPrefix {
    /// The prefix: what the command line says, else the configuration file, else none.
    pub(crate) fn or(&self, configured: Option<&str>) -> Result<String, Failure> {
        let prefix = self.topic_prefix.as_deref().or(configured).unwrap_or_default();
        let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if prefix.len() < 249 && prefix.chars().all(legal) {
            return Ok(prefix.to_owned());
        }
        Err(Failure::usage(format!("no topic can have the prefix {prefix:?}"))
            .advise("use less than 249 of A-Z, a-z, 0-9, `.`, `_` and `-`"))
    }
}

/// How existing files are treated.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Writing {
    /// Write nothing; exit with 3 if a file is missing or differs.
    #[arg(long, conflicts_with = "force")]
    pub(crate) check: bool,

    /// Overwrite files that were edited by hand. Outdated files are always overwritten.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TableNames {
    /// PostgreSQL schema of the tables [default: from search_path].
    #[arg(long, value_name = "NAME", env = "OUTBOX_SCHEMA")]
    schema: Option<String>,

    /// Prefix of the tables' names.
    #[arg(long, value_name = "NAME", default_value = PREFIX, env = "OUTBOX_PREFIX")]
    prefix: String,
}

/// What [`Tables`] has for itself.
const PREFIX: &str = "outbox_";

impl Default for TableNames {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl TableNames {
    /// These names, or what the options are by themselves.
    pub(crate) fn new(schema: Option<&str>, prefix: Option<&str>) -> Self {
        Self {
            schema: schema.map(str::to_owned),
            prefix: prefix.unwrap_or(PREFIX).to_owned(),
        }
    }

    /// The names, if this database can have them.
    pub(crate) fn tables(&self, dialect: Dialect) -> Result<Tables, Failure> {
        if dialect == Dialect::Sqlite && self.schema.is_some() {
            return Err(Failure::usage("SQLite has no schemas").advise("omit --schema, or use --prefix"));
        }
        Tables::new(self.schema.as_deref(), &self.prefix).map_err(|error| Failure::usage(error.to_string()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Partitions {
    /// Store the messages in partitions of this many rows; PostgreSQL only [without a number: 1000000].
    #[arg(
        long,
        value_name = "ROWS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1000000",
        value_parser = clap::value_parser!(u32).range(1_000..)
    )]
    partitioned: Option<u32>,
}

impl Partitions {
    /// So many rows in a partition; none: not partitioned.
    pub(crate) fn new(rows: Option<PartitionRows>) -> Self {
        Self {
            partitioned: rows.map(PartitionRows::get),
        }
    }

    /// The layout, if this database can have it.
    pub(crate) fn layout(&self, dialect: Dialect) -> Result<Layout, Failure> {
        if dialect == Dialect::Sqlite && self.partitioned.is_some() {
            return Err(Failure::usage("SQLite has no partitions").advise("omit --partitioned"));
        }
        Ok(self.partitioned.and_then(Layout::partitioned).unwrap_or_default())
    }
}
