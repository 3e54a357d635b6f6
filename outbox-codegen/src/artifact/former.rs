//! Files that an earlier run wrote, and that nothing is generated for any more: of an event that is gone, or renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::checksum::{command_of, is_untouched};
use super::{Artifact, cannot};
use crate::failure::Failure;

/// By what a command's own files are known among all that a directory holds.
pub(crate) struct Former {
    /// The command in their first sentence; options may follow it there.
    pub(crate) command: String,
    /// The ends of their names.
    pub(crate) extensions: &'static [&'static str],
    /// Whether a file of the command is one of this package's.
    pub(crate) is_own: Box<dyn Fn(&str) -> bool>,
}

/// A file that is left over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Surplus {
    pub(crate) path: PathBuf,
    /// It is as it was generated, so nothing is lost with it.
    pub(crate) untouched: bool,
}

impl Former {
    /// The command's files in the directory that are none of these, by name.
    pub(crate) fn surplus(&self, directory: &Path, artifacts: &[Artifact]) -> Result<Vec<Surplus>, Failure> {
        let unreadable = |error| cannot("read", directory, error);
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut surplus = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let (path, name) = (entry.path(), entry.file_name());
            let wanted = artifacts
                .iter()
                .any(|artifact| name.to_str() == Some(artifact.name.as_str()));
            if wanted || !self.has_extension(&path) || !path.is_file() {
                continue;
            }
            // What is no text is nothing that was generated.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let text = text.replace("\r\n", "\n");
            if self.wrote(&text) {
                surplus.push(Surplus {
                    path,
                    untouched: is_untouched(&text),
                });
            }
        }
        surplus.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(surplus)
    }

    fn has_extension(&self, path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| self.extensions.contains(&extension))
    }

    fn wrote(&self, text: &str) -> bool {
        let is_command = |command: &str| {
            let options = command.strip_prefix(self.command.as_str());
            options.is_some_and(|options| options.is_empty() || options.starts_with(' '))
        };
        command_of(text).is_some_and(is_command) && (self.is_own)(text)
    }
}

/// Removes what is untouched, with `force` the rest as well, and returns the paths that are gone.
pub(crate) fn remove(surplus: &[Surplus], force: bool) -> Result<Vec<&Path>, Failure> {
    let mut removed = Vec::new();
    for file in surplus.iter().filter(|file| file.untouched || force) {
        fs::remove_file(&file.path).map_err(|error| cannot("remove", &file.path, error))?;
        removed.push(file.path.as_path());
    }
    Ok(removed)
}
