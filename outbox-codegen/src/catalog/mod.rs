//! The events of the user's crate, for every command that works from them.
//!
//! The crate is built by its own cargo in its own workspace, with its own lock file, patches and target directory, so that
//! nothing is compiled that its developer would not compile. A program of a few lines is then linked with it, and prints
//! what the derives have registered. Last, the source is read: an event that stands there and was not printed is an error.

mod build;
mod harness;
mod package;
mod source;
mod written;

use outbox_runtime::catalog::CatalogDocument;

use crate::arguments::shared::CatalogSource;
use crate::failure::Failure;

/// The catalog that the command line names: of a crate, which is compiled for it, or of a file.
pub(crate) fn load(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
    match &source.catalog {
        Some(path) => written::read(path),
        None => compiled(source),
    }
}

fn compiled(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
    let package = package::find(source)?;
    let built = build::build(&package, source)?;
    let document = harness::run(&package, &built)?;
    source::compare(&package, &built, &document)?;
    Ok(document)
}
