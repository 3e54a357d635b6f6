//! Where a service keeps its migrations, and what they are made for.

use std::fs;
use std::path::{Path, PathBuf};

use super::Service;
use crate::config::Format;
use crate::config::{Config, ConfigFile};
use crate::migration::format_of;

/// A directory of migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) format: Format,
}

/// Where tools look by themselves, seen from the service or the workspace.
const USUAL: [&str; 9] = [
    "migrations",
    FLYWAY[0],
    FLYWAY[1],
    "db/migrations",
    "database/migrations",
    "sql/migrations",
    "sql",
    "alembic/versions",
    "migrations/versions",
];

/// Flyway's own: they are its before anything is in them.
const FLYWAY: [&str; 2] = ["db/migration", "src/main/resources/db/migration"];

/// Where Flyway's directories are configured.
const SETTINGS: [&str; 3] = ["flyway.conf", "conf/flyway.conf", "flyway.toml"];

/// The directory that is named, that the file lists, or that holds migrations; else `migrations` beside the manifest.
pub(crate) fn find(service: &Service, named: Option<&Path>, file: Option<&ConfigFile>) -> Place {
    let listed = file.and_then(|file| listed(&file.config).map(|(dir, format)| (file.resolve(dir), format)));
    let directory = named.map(Path::to_owned);
    let (directory, format) = match (directory, listed) {
        (Some(directory), _) => (directory, None),
        (None, Some((directory, format))) => (directory, format),
        (None, None) => {
            let there = there(&service.directory).or_else(|| there(&service.workspace_root));
            (there.unwrap_or_else(|| service.directory.join(USUAL[0])), None)
        }
    };
    let is_flyway = FLYWAY.iter().any(|usual| directory.ends_with(usual))
        || flyway(&service.directory)
            .chain(flyway(&service.workspace_root))
            .any(|configured| configured == directory);
    let format = format.or_else(|| format_of(&directory));
    Place {
        format: format.unwrap_or(if is_flyway { Format::Sql } else { Format::Sqlx }),
        directory,
    }
}

fn listed(config: &Config) -> Option<(&Path, Option<Format>)> {
    let section = config.migrations.as_ref()?;
    Some((section.dir.as_path(), section.format))
}

/// The directory below this one that holds migrations, or that Flyway is configured with.
fn there(base: &Path) -> Option<PathBuf> {
    let configured = flyway(base).find(|directory| directory.is_dir());
    let usual = || {
        USUAL
            .iter()
            .map(|usual| base.join(usual))
            .find(|directory| format_of(directory).is_some())
    };
    let empty = || {
        FLYWAY
            .iter()
            .map(|usual| base.join(usual))
            .find(|directory| directory.is_dir())
    };
    configured.or_else(usual).or_else(empty)
}

/// The directories that Flyway's settings name, as `filesystem:sql`.
fn flyway(base: &Path) -> impl Iterator<Item = PathBuf> {
    let files = SETTINGS.map(|name| fs::read_to_string(base.join(name)).unwrap_or_default());
    let base = base.to_owned();
    files.into_iter().flat_map(move |text| {
        let named = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let named: Vec<PathBuf> = named
            .flat_map(|line| line.split("filesystem:").skip(1))
            .filter_map(|rest| rest.split([',', '"', '\'', ']', ' ']).next())
            .map(|path| base.join(path.trim_start_matches("./")))
            .collect();
        named
    })
}
