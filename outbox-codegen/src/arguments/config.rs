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
    /// Show each key of `outbox.toml` and each variable, with the value in force and where it comes from.
    ///
    /// With a command, such as `outbox config show -- relay --lease-ttl 5s`, also each option of that command. A flag
    /// overrides a variable, a variable overrides `outbox.toml`, and that overrides the default. Secrets are masked.
    Show(ConfigurationShow),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigurationShow {
    /// Configuration file [default: outbox.toml of the current directory or of the package that it is in].
    #[arg(long, value_name = "PATH", env = "OUTBOX_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// A command with its options, which are shown; it is not run.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}
