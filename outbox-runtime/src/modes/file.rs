//! The default mode of `outbox.toml`.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Mode, UnknownMode};

/// Why the default mode of an `outbox.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefaultModeError {
    /// The file cannot be read.
    #[error("cannot read `{}`, which may set the default mode", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not valid TOML.
    #[error("`{}` is not valid TOML", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// The file names an unknown mode.
    #[error("`default` in [mode] of `{}`", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The unknown name.
        source: UnknownMode,
    },
}

/// What is read of the file; the rest is for the command line.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    mode: Section,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    default: Option<String>,
}

/// The mode that the file names, if it names one.
pub(super) fn read(path: &Path) -> Result<Option<Mode>, DefaultModeError> {
    let text = std::fs::read_to_string(path).map_err(|source| DefaultModeError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Option<Mode>, DefaultModeError> {
    let file: File = toml::from_str(text).map_err(|source| DefaultModeError::Invalid {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mode = file.mode.default.map(|word| word.parse()).transpose();
    mode.map_err(|source| DefaultModeError::Unknown {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_a_mode_or_leaves_it_open() {
        let path = Path::new("outbox.toml");
        let read = |text: &str| parse(text, path);
        assert_eq!(
            read("[mode]\ndefault = \"direct\"\n[topics.defaults]\npartitions = 3").unwrap(),
            Some(Mode::Direct)
        );
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("[mode]").unwrap(), None);
        let unknown = read("[mode]\ndefault = \"directly\"").unwrap_err();
        assert!(matches!(unknown, DefaultModeError::Unknown { .. }), "{unknown}");
        assert!(matches!(
            read("mode =").unwrap_err(),
            DefaultModeError::Invalid { .. }
        ));
        let missing = super::read(Path::new("/nowhere/outbox.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/outbox.toml"), "{missing}");
    }
}
