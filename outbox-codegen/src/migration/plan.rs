//! What a directory should hold, going by what it began with.

use std::path::Path;

use chrono::Utc;
use outbox_runtime::schema::{Dialect, Layout, Migration, SCHEMA_VERSION, Step};

use super::directory::{self, Found};
use super::header::{Direction, Header, without_values};
use super::numbering::{self, Numbering, version_of};
use super::{alembic, format};
use crate::arguments::GenerateMigration;
use crate::artifact::Artifact;
use crate::config::Format;
use crate::failure::Failure;

/// The files of a log's migrations.
#[derive(Default)]
pub(crate) struct Plan {
    /// Of all steps but the last: what was applied somewhere, and has to stay as it is.
    pub(crate) older: Vec<Artifact>,
    /// Of the last step.
    pub(crate) newest: Vec<Artifact>,
    /// Names of files that make or change the same tables a second time.
    pub(crate) surplus: Vec<String>,
}

/// Looks into the directory and says what belongs there. Where there is nothing yet, one step makes everything;
/// where there are files of an older version, the steps from there follow them.
pub(crate) fn plan(arguments: &GenerateMigration) -> Result<Plan, Failure> {
    let dialect = Dialect::from(arguments.database);
    let tables = arguments.tables.tables(dialect)?;
    let mut found = directory::read(&arguments.dir, dialect, &tables)?;
    let format = match (arguments.format, found.first()) {
        (Some(format), _) => format,
        (None, Some(own)) => own.header.format,
        (None, None) => format_of(&arguments.dir).unwrap_or_default(),
    };
    refuse_foreign(&found, arguments, format)?;
    let mut numbering = Numbering::after(&arguments.dir, format, Utc::now());
    let latest = found.iter().map(|file| file.header.step.version()).max();
    let legacy_to = legacy_to(&found);
    let layout = arguments.partitions.layout(dialect)?;
    let steps = Migration::history_as(layout, dialect, &tables, first_version(&found));
    let last = steps.last().map(Migration::step);
    let log = Header {
        dialect,
        tables: tables.clone(),
        layout,
        format,
        step: Step::Create(SCHEMA_VERSION),
        direction: Direction::Up,
        is_legacy: false,
    };
    let mut plan = Plan::default();
    // The step before, if it is new as well.
    let mut before = None;
    for migration in &steps {
        let down_revision = match format {
            Format::Alembic => down_revision(migration, before, &found, arguments)?,
            Format::Sqlx | Format::Sql => String::new(),
        };
        let own = found.iter().find(|file| file.header.step == migration.step());
        before = own.is_none().then_some(migration);
        // A step before one that is there has its version before that one's.
        let step_version = Some(migration.step().version());
        let version = match own.and_then(|file| version_of(&file.name)) {
            Some(version) => version.to_owned(),
            None if own.is_some() || latest > step_version => migration.version().to_string(),
            None => numbering.next(migration.version()),
        };
        let header = Header {
            step: migration.step(),
            ..log.clone()
        };
        for (direction, artifact) in format::files(&header, migration, &version, &down_revision) {
            let mut artifact = in_place_of(&mut found, (migration.step(), direction), artifact);
            if legacy_to >= step_version {
                artifact.contents = without_values(&artifact.contents);
            }
            match Some(migration.step()) == last {
                true => plan.newest.push(artifact),
                false => plan.older.push(artifact),
            }
        }
    }
    plan.surplus = found.into_iter().map(|file| file.name).collect();
    Ok(plan)
}

/// A file under the name of the one that is there already.
fn in_place_of(found: &mut Vec<Found>, file: (Step, Direction), mut artifact: Artifact) -> Artifact {
    let is_it = |found: &Found| (found.header.step, found.header.direction) == file;
    if let Some(index) = found.iter().position(is_it) {
        artifact.name = found.remove(index).name;
    }
    artifact
}

/// The steps up to the last one of an earlier release's files. They may have been applied, so their texts stay as that
/// release wrote them, also where a file is missing.
fn legacy_to(found: &[Found]) -> Option<i32> {
    let legacy = found.iter().filter(|file| file.header.is_legacy);
    legacy.map(|file| file.header.step.version()).max()
}

/// The format of the migrations that a directory holds, whoever wrote them.
pub(crate) fn format_of(directory: &Path) -> Option<Format> {
    numbering::format_of(directory)
}

/// The version of the tables that the directory's history begins with.
fn first_version(found: &[Found]) -> i32 {
    let created = |file: &Found| match file.header.step {
        Step::Create(version) => Some(version),
        Step::Upgrade(_) => None,
    };
    // Upgrades alone also show where they began.
    let upgraded = |file: &Found| file.header.step.version() - 1;
    let first = found.iter().filter_map(created).min();
    first
        .or_else(|| found.iter().map(upgraded).min())
        .unwrap_or(SCHEMA_VERSION)
}

/// Options and files that this program cannot continue from.
fn refuse_foreign(found: &[Found], arguments: &GenerateMigration, wanted: Format) -> Result<(), Failure> {
    if arguments.down_revision.is_some() && wanted != Format::Alembic {
        return Err(Failure::usage("--down-revision needs --format alembic")
            .advise("add --format alembic, or omit --down-revision"));
    }
    for file in found {
        let path = arguments.dir.join(&file.name);
        let version = file.header.step.version();
        if version > SCHEMA_VERSION {
            return Err(Failure::failed(format!(
                "`{}` has version {version}; this program supports version {SCHEMA_VERSION}",
                path.display()
            ))
            .advise("use the newer version that generated it"));
        }
        let theirs = file.header.layout;
        if theirs != arguments.partitions.layout(arguments.database.into())? {
            return Err(Failure::usage(format!(
                "`{}` was generated with other options, and the layout of a log cannot change",
                path.display()
            ))
            .advise(match theirs {
                Layout::Plain => "omit --partitioned, or choose another --dir".to_owned(),
                Layout::Partitioned { .. } => format!("add{theirs}, or choose another --dir"),
            }));
        }
        let format = file.header.format;
        if format != wanted {
            return Err(Failure::usage(format!(
                "`{}` has the format {format}, and a log has one format per directory",
                path.display()
            ))
            .advise(format!("add --format {format}, or choose another --dir")));
        }
    }
    Ok(())
}

/// Behind which revision a migration stands: where its file says, else behind the new one `before` it, else where
/// the command line says, else behind the directory's last one.
fn down_revision(
    migration: &Migration,
    before: Option<&Migration>,
    found: &[Found],
    arguments: &GenerateMigration,
) -> Result<String, Failure> {
    let written = found.iter().find(|file| file.header.step == migration.step());
    let chosen = arguments
        .down_revision
        .as_ref()
        .map(|revision| format!("{revision:?}"));
    match written {
        Some(file) => alembic::down_revision_of(&arguments.dir.join(&file.name)),
        None => match (before, chosen) {
            (Some(before), _) => Ok(format!("{:?}", alembic::id(before))),
            (None, Some(chosen)) => Ok(chosen),
            (None, None) => alembic::only_head(&arguments.dir),
        },
    }
}

impl Plan {
    /// All files that should be there.
    pub(crate) fn files(&self) -> Vec<Artifact> {
        [self.older.clone(), self.newest.clone()].concat()
    }

    /// Fails if the tables would be made or changed a second time.
    pub(crate) fn refuse_surplus(&self, directory: &Path, exit: crate::Exit) -> Result<(), Failure> {
        let Some(name) = self.surplus.first() else {
            return Ok(());
        };
        let message = format!(
            "`{}` repeats a step that another file of the directory contains, or an earlier one",
            directory.join(name).display()
        );
        Err(Failure::new(exit, message).advise("remove it; if it was applied, remove the other one"))
    }
}
