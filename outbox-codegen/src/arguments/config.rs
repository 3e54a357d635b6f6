//! `outbox config …`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Configuration {
    #[command(subcommand)]
    pub(crate) what: ConfigurationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigurationCommand {
    /// Show each key of `outbox.toml` and each environment variable, with its effective value and the source
    /// of the value.
    ///
    /// With a command, such as `outbox config show -- relay --lease-ttl 5s`, it also shows each option of
    /// that command. A flag overrides a variable, a variable overrides `outbox.toml`, and `outbox.toml`
    /// overrides the default. Secrets are masked.
    Show(ConfigurationShow),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigurationShow {
    /// Configuration file [default: outbox.toml in the current directory or in the package that contains it].
    #[arg(long, value_name = "PATH", env = "OUTBOX_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// A command whose options are shown. The command is not run.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}
