//! What a service's `Cargo.toml` says of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::failure::Failure;

/// What has to be known of a service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Where it is, with everything that is written beside it.
    pub(crate) directory: PathBuf,
    pub(crate) package: String,
    /// The library's name in `use`.
    pub(crate) library: String,
    pub(crate) has_library: bool,
    pub(crate) dependencies: BTreeSet<String>,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read `{}`", path.display()))
                .because(error)
                .advise("run this where the service's Cargo.toml is, or name it with --manifest-path")
        })?;
        let unreadable = |reason: String| {
            Failure::usage(format!("`{}` is not the manifest of a package", path.display())).because(reason)
        };
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| unreadable(error.to_string()))?;
        let package = table
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .ok_or_else(|| {
                unreadable("it has no [package] with a name".to_owned())
                    .advise("name the manifest of a member of the workspace with --manifest-path")
            })?;
        let library = table.get("lib");
        let named = library
            .and_then(|library| library.get("name"))
            .and_then(Value::as_str);
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let dependencies = table.get("dependencies").and_then(Value::as_table);
        Ok(Self {
            package: package.to_owned(),
            library: named.map_or_else(|| package.replace('-', "_"), str::to_owned),
            has_library: library.is_some() || directory.join("src/lib.rs").exists(),
            dependencies: dependencies.into_iter().flat_map(Table::keys).cloned().collect(),
            directory,
        })
    }
}
