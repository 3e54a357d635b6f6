//! The events of the user's crate, for every command that works from them.

mod written;

use outbox_runtime::catalog::CatalogDocument;

use crate::arguments::shared::CatalogSource;
use crate::failure::Failure;

/// The catalog that the command line names: of a crate, which is compiled for it, or of a file.
pub(crate) fn load(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
    match &source.catalog {
        Some(path) => written::read(path),
        None => Err(Failure::usage("no catalog is named").advise("write --catalog FILE")),
    }
}
