//! `outbox generate …`: catalog in, files out.

mod acls;
mod all;
mod asyncapi;
mod monitoring;
mod roles;
mod schemas;

use std::path::{Path, PathBuf};

use outbox_runtime::catalog::CatalogDocument;
use outbox_runtime::schema::Dialect;

use super::print;
use crate::arguments::shared::Writing;
use crate::arguments::{
    Generate, GenerateConfigSchema, GenerateConsumers, GenerateDebezium, GenerateMigration, Generated,
};
use crate::artifact::{self, Artifact, Former};
use crate::config::load_catalog;
use crate::debezium::Debezium;
use crate::failure::Failure;
use crate::migration::plan;
use crate::say::say;
use crate::{Exit, config, consumers};

pub(crate) fn run(arguments: Generate) -> Result<Exit, Failure> {
    match arguments.what {
        None => all::run(&arguments.all),
        Some(Generated::Migration(arguments)) => migration(&arguments),
        Some(Generated::Debezium(arguments)) => debezium(&arguments, None)?.emit(arguments.writing),
        Some(Generated::Consumers(arguments)) => {
            consumers(&load_catalog(&arguments.source.source())?, &arguments)?.emit(arguments.writing)
        }
        Some(Generated::Schemas(arguments)) => schemas::run(&arguments),
        Some(Generated::Asyncapi(arguments)) => asyncapi::run(&arguments),
        Some(Generated::Alerts(arguments)) => monitoring::run_alerts(&arguments),
        Some(Generated::Dashboard(arguments)) => monitoring::run_dashboard(&arguments),
        Some(Generated::Roles(arguments)) => roles::run(&arguments),
        Some(Generated::Acls(arguments)) => acls::run(&arguments),
        Some(Generated::ConfigSchema(arguments)) => config_schema(&arguments).emit(arguments.writing),
    }
}

/// The files of one emitter.
struct Output {
    /// What they are, for each file; the last name holds for all that follow.
    names: Vec<&'static str>,
    directory: PathBuf,
    artifacts: Vec<Artifact>,
    /// What identifies its files of earlier runs, where the directory alone does not.
    former: Option<Former>,
}

impl Output {
    /// Each file's path and what it is.
    fn places(&self) -> impl Iterator<Item = (PathBuf, &'static str)> {
        self.artifacts.iter().enumerate().map(|(index, artifact)| {
            let name = self.names.get(index).or(self.names.last());
            (
                self.directory.join(&artifact.name),
                name.copied().unwrap_or_default(),
            )
        })
    }

    /// Writes or checks the files, and says what came of it.
    fn emit(&self, writing: Writing) -> Result<Exit, Failure> {
        let (directory, artifacts) = (&self.directory, &self.artifacts);
        let surplus = match &self.former {
            Some(former) => former.surplus(directory, artifacts)?,
            None => Vec::new(),
        };
        let files = up_to_date(artifacts.len());
        if writing.check {
            artifact::check(directory, artifacts, &surplus)?;
            print(files)?;
            return Ok(Exit::Done);
        }
        let written = artifact::write(directory, artifacts, writing.force)?;
        let removed = artifact::remove(&surplus, writing.force)?;
        for file in surplus.iter().filter(|file| !removed.contains(&&*file.path)) {
            say(format_args!(
                "note: kept {}: it is no longer generated, but it was edited by hand; --force removes it",
                file.path.display()
            ));
        }
        if written.is_empty() && removed.is_empty() {
            print(format_args!("nothing to do: {files}"))?;
        }
        for path in written {
            print(format_args!("wrote {}", path.display()))?;
        }
        for path in removed {
            print(format_args!("removed {}", path.display()))?;
        }
        Ok(Exit::Done)
    }
}

pub(super) fn migration(arguments: &GenerateMigration) -> Result<Exit, Failure> {
    let (directory, plan) = (&arguments.dir, plan(arguments)?);
    let files = plan.files();
    if arguments.check {
        artifact::check(directory, &files, &[])?;
        plan.refuse_surplus(directory, Exit::Differences)?;
        print(up_to_date(files.len()))?;
        return Ok(Exit::Done);
    }
    plan.refuse_surplus(directory, Exit::Failed)?;
    let edited = artifact::edited(directory, &plan.older)?;
    if !edited.is_empty() && !arguments.force {
        return Err(Failure::failed(format!(
            "these files of an older step were edited:\n  {}",
            edited.join("\n  ")
        ))
        .advise(
            "restore them, because migration tools refuse a migration that changed after it was applied; --force continues without changing them",
        ));
    }
    for difference in &edited {
        say(format_args!("left unchanged: {difference}"));
    }
    let newest = artifact::write(directory, &plan.newest, arguments.force)?;
    let written = [artifact::write_missing(directory, &plan.older)?, newest].concat();
    if written.is_empty() {
        print(format_args!("nothing to do: {}", up_to_date(files.len())))?;
    }
    for path in written {
        print(format_args!("wrote {}", path.display()))?;
    }
    Ok(Exit::Done)
}

fn debezium(arguments: &GenerateDebezium, configured: Option<&str>) -> Result<Output, Failure> {
    let prefix = arguments.prefix.or(configured)?;
    let tables = arguments.tables.tables(Dialect::Postgres)?;
    Ok(Output {
        names: vec!["a file for Debezium"],
        directory: arguments.dir.clone(),
        artifacts: Debezium::new(&tables, &arguments.name, arguments.payloads)?
            .topic_prefix(&prefix)
            .files(),
        former: Some(Former {
            command: "outbox generate debezium".to_owned(),
            extensions: &["properties", "sql"],
            is_own: Box::new(|_| true),
        }),
    })
}

fn consumers(catalog: &CatalogDocument, arguments: &GenerateConsumers) -> Result<Output, Failure> {
    Ok(Output {
        names: vec!["code for consumers"],
        directory: arguments.dir.clone(),
        artifacts: consumers::files(catalog, arguments.language)?,
        former: Some(Former {
            command: consumers::command(arguments.language),
            extensions: &["rs", "py", "ts"],
            is_own: Box::new(|_| true),
        }),
    })
}

fn config_schema(arguments: &GenerateConfigSchema) -> Output {
    Output {
        names: vec!["the JSON Schema of outbox.toml"],
        directory: arguments.dir.clone(),
        artifacts: vec![config::schema_file()],
        former: None,
    }
}

/// A path as the name of a file.
fn artifact(path: &Path, contents: String) -> Result<Artifact, Failure> {
    let name = path.to_str().map(str::to_owned);
    name.map(|name| Artifact { name, contents })
        .ok_or_else(|| Failure::usage(format!("`{}` is not UTF-8", path.display())))
}

fn up_to_date(files: usize) -> String {
    match files {
        1 => "the file is up to date".to_owned(),
        _ => format!("the {files} files are up to date"),
    }
}
