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
use std::path::PathBuf;

use outbox_runtime::catalog::CatalogDocument;

use crate::failure::Failure;
use crate::say::say;
use build::Built;
pub(crate) use package::{Member, Members, nearest};

/// Source of the events: a crate, which is compiled, or a catalog file.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogSource {
    /// Cargo.toml of the crate; else the nearest one.
    pub(crate) manifest_path: Option<PathBuf>,
    /// The package, if the workspace has several.
    pub(crate) package: Option<String>,
    /// Features to compile it with.
    pub(crate) features: Vec<String>,
    /// Whether it is compiled with all of them.
    pub(crate) all_features: bool,
    /// Whether it is compiled without its default features.
    pub(crate) no_default_features: bool,
    /// Dependencies whose events it also sends.
    pub(crate) include: Vec<String>,
    /// The configuration file; else the one of the package or of the current directory.
    pub(crate) config: Option<PathBuf>,
    /// A catalog file instead of a crate.
    pub(crate) catalog: Option<PathBuf>,
}

/// The catalog of this source: of a crate, which is compiled for it, or of a file.
pub(crate) fn load(source: &CatalogSource) -> Result<CatalogDocument, Failure> {
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
        name_events_of_dependencies(package.name(), &built, &printed.others);
    }
    Ok(printed.document)
}

/// If a package has no events, the user may have meant those of a dependency.
fn name_events_of_dependencies(package: &str, built: &Built, others: &BTreeMap<String, usize>) {
    for (name, count) in others {
        let library = built.libraries.iter().find(|library| library.name == *name);
        let other = library.map_or(name, |library| &library.package);
        say(format_args!(
            "note: `{package}` declares no events itself; it depends on `{other}`, which declares {count}: \
             `--include {other}`, or `include = [\"{other}\"]` below [package] in outbox.toml, lists them"
        ));
    }
}
