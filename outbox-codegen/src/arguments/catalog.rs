//! `outbox catalog`

use clap::Args;

use super::shared::CatalogOptions;

#[derive(Debug, Args)]
pub(crate) struct Catalog {
    #[command(flatten)]
    pub(crate) source: CatalogOptions,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Exit with 3 if there are warnings, such as two aggregates in one topic.
    #[arg(long)]
    pub(crate) strict: bool,
}
