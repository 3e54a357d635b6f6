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
    /// Compare the tables of a database with this version.
    ///
    /// A missing or different table, column, type or key is an error, and the command exits with 3. A missing
    /// index or check constraint is a warning. Additional objects are ignored.
    ///
    /// On PostgreSQL, each missing right of the role is also an error, printed with the GRANT to run.
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

    /// Kind of work for which to check the rights of the role in --database-url.
    #[arg(long, value_enum, default_value_t = RoleName::Relay)]
    pub(crate) role: RoleName,

    /// Exit with 3 for warnings, too.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kind of work, with the rights that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Emit events and use an inbox.
    Writer,
    /// Run a relay.
    Relay,
    /// Replay and discard dead letters, pause, skip, rewind and throttle.
    Operator,
    /// Read the status and the dead letters.
    Reader,
    /// Delete delivered messages and old dead letters.
    Pruner,
    /// Check the tables only.
    None,
}

impl RoleName {
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Writer => Some(Role::Writer),
            Self::Relay => Some(Role::Relay),
            Self::Operator => Some(Role::Operator),
            Self::Reader => Some(Role::Reader),
            Self::Pruner => Some(Role::Pruner),
            Self::None => None,
        }
    }
}
