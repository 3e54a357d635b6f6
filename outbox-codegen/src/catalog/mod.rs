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

use std::collections::BTreeMap;

use outbox_runtime::catalog::CatalogDocument;

use crate::arguments::shared::CatalogSource;
use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::say::say;
use build::Built;
pub(crate) use package::{Member, Members, nearest};

/// The catalog that the command line names, and `outbox.toml` where it says nothing: of a crate, which is compiled for
/// it, or of a file.
pub(crate) fn load(given: &CatalogSource) -> Result<CatalogDocument, Failure> {
    match ConfigFile::search(given)? {
        Some(file) => load_exactly(&file.source(given)),
        None => load_exactly(given),
    }
}

/// The catalog that this says, whatever any `outbox.toml` says.
pub(crate) fn load_exactly(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
    match &source.catalog {
        Some(path) => written::read(path),
        None => compiled(source),
    }
}

fn compiled(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
    let package = package::find(source)?;
    let built = build::build(&package, source)?;
    let printed = harness::run(&package, &built)?;
    source::compare(&package, &built, &printed.document)?;
    if printed.document.events.is_empty() {
        tell_of_others(package.name(), &built, &printed.others);
    }
    Ok(printed.document)
}

/// Where a package has no events, its dependencies' may have been meant.
fn tell_of_others(package: &str, built: &Built, others: &BTreeMap<String, usize>) {
    for (name, count) in others {
        let library = built.libraries.iter().find(|library| library.name == *name);
        let other = library.map_or(name, |library| &library.package);
        say(format_args!(
            "note: `{package}` declares no events itself; it depends on `{other}`, which declares {count}: \
             `--include {other}`, or `include = [\"{other}\"]` below [package] in outbox.toml, lists them"
        ));
    }
}
