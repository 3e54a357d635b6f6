//! `outbox top`

use std::time::Duration;

use clap::Args;

use super::health::Thresholds;
use super::shared::{DatabaseUrl, TableNames};
use crate::duration::duration;

#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) database: DatabaseUrl,
    #[command(flatten)]
    pub(crate) tables: TableNames,
    #[command(flatten)]
    pub(crate) thresholds: Thresholds,

    /// Print one frame as text and exit.
    #[arg(long)]
    pub(crate) once: bool,

    /// Poll interval.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
}
