//! Finds and reads the file, and reports what is wrong in it and where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use outbox_runtime::catalog::CatalogDocument;
use toml::de::{DeTable, DeValue};

use super::unknown::{self, UnknownKey};
use super::{Config, FILE_NAME, place, schema};
use crate::catalog::{self, CatalogSource};
use crate::failure::Failure;

/// A configuration and the file that it stands in.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
}

impl ConfigFile {
    /// The file that a command works from.
    pub(crate) fn find(given: &CatalogSource) -> Result<Self, Failure> {
        Self::search(given)?.ok_or_else(|| {
            Failure::usage(format!(
                "no {FILE_NAME} in this directory or beside the package's Cargo.toml"
            ))
            .advise("give --config or --package, or run `outbox init` to write one")
        })
    }

    /// The file that holds for a command, if there is one.
    pub(crate) fn search(given: &CatalogSource) -> Result<Option<Self>, Failure> {
        place::of(given)?.map(|path| Self::read(&path)).transpose()
    }

    /// Reads this file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            let failure = Failure::usage(format!("cannot read `{}`", path.display()));
            match error.kind() {
                io::ErrorKind::NotFound => failure.because(error).advise("check --config"),
                _ => failure.because(error),
            }
        })?;
        let config = parse(&text).map_err(|errors| {
            let mut lines = errors
                .iter()
                .map(|error| format!("{}:{}: {}", path.display(), line(&text, error.at), error.what));
            let first = lines.next().unwrap_or_default();
            let text = lines.fold(first, |text, line| format!("{text}\n  {line}"));
            Failure::usage(text).advise("`outbox generate config-schema` writes a schema of the file")
        })?;
        Ok(Self {
            path: path.to_owned(),
            config,
        })
    }

    /// A path of the file, which is seen from the file's directory.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }

    /// Whose events: what the command line says, and what `[package]` says of the rest.
    pub(crate) fn source(&self, given: &CatalogSource) -> CatalogSource {
        let mut source = given.clone();
        if source.catalog.is_some() {
            return source;
        }
        let package = &self.config.package;
        if source.manifest_path.is_none() {
            source.manifest_path = self.manifest();
        }
        let other = given.package.as_ref().zip(package.name.as_ref());
        if other.is_some_and(|(given, said)| given != said) {
            return source;
        }
        source.package = source.package.or_else(|| package.name.clone());
        if source.features.is_empty() {
            source.features = package.features.clone();
        }
        if source.include.is_empty() {
            source.include = package.include.clone();
        }
        source.all_features |= package.all_features;
        source.no_default_features |= package.no_default_features;
        source
    }

    /// The directory of the events' schemas, where the file has a section for them.
    pub(crate) fn schemas(&self) -> Option<PathBuf> {
        let section = self.config.schemas.as_ref()?;
        Some(self.resolve(&section.dir))
    }

    /// The manifest that the file names, or that lies beside it.
    pub(super) fn manifest(&self) -> Option<PathBuf> {
        match &self.config.package.manifest_path {
            Some(named) => Some(self.resolve(named)),
            None => Some(self.resolve(Path::new("Cargo.toml"))).filter(|path| path.exists()),
        }
    }
}

/// The catalog that the command line names, and `outbox.toml` where it says nothing.
pub(crate) fn load_catalog(given: &CatalogSource) -> Result<CatalogDocument, Failure> {
    match ConfigFile::search(given)? {
        Some(file) => catalog::load(&file.source(given)),
        None => catalog::load(given),
    }
}

/// What is wrong at a place of the text.
#[derive(Debug)]
struct ConfigError {
    at: usize,
    what: String,
}

fn parse(text: &str) -> Result<Config, Vec<ConfigError>> {
    let wrong = |error: toml::de::Error| {
        vec![ConfigError {
            at: error.span().map_or(0, |span| span.start),
            what: error.message().trim_end().to_owned(),
        }]
    };
    let table = DeTable::parse(text).map_err(wrong)?.into_inner();
    let unknown = unknown::find(&table, &schema());
    if !unknown.is_empty() {
        return Err(unknown.into_iter().map(ConfigError::from).collect());
    }
    let config: Config = toml::from_str(text).map_err(wrong)?;
    let doubled: Vec<ConfigError> = config
        .topics
        .doubled()
        .map(|(topic, setting, key)| ConfigError {
            at: position(&table, &["topics", topic, "settings", setting]),
            what: format!("`{setting}` has its own key: write `{key}` instead"),
        })
        .collect();
    if doubled.is_empty() {
        Ok(config)
    } else {
        Err(doubled)
    }
}

impl From<UnknownKey> for ConfigError {
    fn from(unknown: UnknownKey) -> Self {
        let UnknownKey {
            at,
            key,
            section,
            meant,
            known,
        } = unknown;
        let place = if section.is_empty() {
            String::new()
        } else {
            format!(" in [{section}]")
        };
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        Self {
            at,
            what: format!("unknown key `{key}`{place}; {hint}"),
        }
    }
}

/// Where the last key of this path begins; the beginning of the text if it is not there.
fn position(table: &DeTable<'_>, path: &[&str]) -> usize {
    let mut table = Some(table);
    let mut at = 0;
    for name in path {
        let found = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name));
        let Some((key, value)) = found else { return 0 };
        at = key.span().start;
        table = DeValue::as_table(value.get_ref());
    }
    at
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
