//! Variables from a `.env` file, as sqlx-cli reads them.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::failure::Failure;

/// What the file said at the start.
static LOADED: OnceLock<EnvironmentFile> = OnceLock::new();

/// The `.env` file, and what of it is in force.
#[derive(Debug, Clone)]
pub(crate) struct EnvironmentFile {
    path: PathBuf,
    /// Variables that were not set already.
    values: BTreeMap<String, String>,
}

/// Loads `.env` from this directory or one above it, unless `--no-dotenv` is among the arguments. Variables
/// that are set already win; no file is no error.
pub(crate) fn load(arguments: &[OsString]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--no-dotenv") {
        return Ok(());
    }
    let read = dotenvy::dotenv_iter().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let values = match read {
        Ok(variables) => only_new(variables),
        Err(error) if error.not_found() => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let path = dotenvy::dotenv().map_err(unreadable)?;
    // Nobody else sets it; a second command line in one process keeps the first one's.
    let _ = LOADED.set(EnvironmentFile { path, values });
    Ok(())
}

/// The file that was read at the start, if there was one.
pub(crate) fn file() -> Option<EnvironmentFile> {
    LOADED.get().cloned()
}

impl EnvironmentFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A variable that comes from the file.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a variable comes from elsewhere, and so wins over the file.
    pub(crate) fn is_set_elsewhere(&self, name: &str) -> bool {
        !self.values.contains_key(name) && env::var_os(name).is_some()
    }

    /// The file as it is now. Variables that were set before the process began still win.
    pub(crate) fn read_again(&self) -> Result<Self, Failure> {
        let variables = dotenvy::from_path_iter(&self.path).map_err(unreadable)?;
        let variables: Vec<(String, String)> = variables.collect::<Result<_, _>>().map_err(unreadable)?;
        let ours = variables
            .into_iter()
            .filter(|(name, _)| !self.is_set_elsewhere(name));
        Ok(Self {
            path: self.path.clone(),
            values: ours.collect(),
        })
    }

    /// The variables that differ between two readings, by name.
    pub(crate) fn changes(&self, now: &Self) -> Vec<String> {
        let names = self.values.keys().chain(now.values.keys());
        let mut changed: Vec<String> = names
            .filter(|name| self.values.get(*name) != now.values.get(*name))
            .cloned()
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

/// Those that are not set already. Of several lines, the first counts.
fn only_new(variables: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in variables {
        if env::var_os(&name).is_none() {
            values.entry(name).or_insert(value);
        }
    }
    values
}

fn unreadable(error: dotenvy::Error) -> Failure {
    match error {
        // The error holds the whole line, which may be a URL with its password.
        dotenvy::Error::LineParse(..) => Failure::usage("cannot read a line of the `.env` file")
            .advise("write NAME=value, with quotes around a value that has spaces, or pass --no-dotenv"),
        error => Failure::usage("cannot read the `.env` file").because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(values: &[(&str, &str)]) -> EnvironmentFile {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        EnvironmentFile {
            path: PathBuf::from(".env"),
            values: values.collect(),
        }
    }

    #[test]
    fn what_differs_is_named_once() {
        let before = file(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let now = file(&[("A", "1"), ("B", "9"), ("D", "4")]);
        assert_eq!(before.changes(&now), ["B", "C", "D"]);
        assert!(before.changes(&before).is_empty());
    }
}
