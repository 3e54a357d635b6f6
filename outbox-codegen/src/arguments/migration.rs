//! `outbox migration …`

use clap::{Args, Subcommand, ValueEnum};
use outbox_runtime::schema::Role;

use super::shared::{ConnectTimeout, DatabaseUrl, TableNames};

#[derive(Debug, Args)]
pub(crate) struct Migration {
    #[command(subcommand)]
    pub(crate) what: MigrationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrationCommand {
    /// Compare a database's tables with what this version works with: columns, constraints, indexes.
    ///
    /// A table, column, type or key that is missing or different is an error and ends with exit code 3. A missing
    /// index or check is a warning. What is there beyond the expected is ignored. Only the catalog is read.
    ///
    /// In PostgreSQL each right that the role lacks is an error, too, told with the GRANT that gives it.
    Check(MigrationCheck),
}

#[derive(Debug, Args)]
pub(crate) struct MigrationCheck {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) patience: ConnectTimeout,

    /// Whose work the role in --database-url shall be allowed to do.
    #[arg(long, value_enum, default_value_t = RoleName::Relay)]
    pub(crate) role: RoleName,

    /// Exit 3 for warnings, too.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose rights are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// A service that emits events and has an inbox.
    Writer,
    /// A relay.
    Relay,
    /// Somebody who replays and discards dead letters.
    Operator,
    /// Somebody who only looks.
    Reader,
    /// Nobody: the tables only.
    None,
}

impl RoleName {
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Writer => Some(Role::Writer),
            Self::Relay => Some(Role::Relay),
            Self::Operator => Some(Role::Operator),
            Self::Reader => Some(Role::Reader),
            Self::None => None,
        }
    }
}
