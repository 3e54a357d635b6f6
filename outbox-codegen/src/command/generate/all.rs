//! `outbox generate --all`: every section of `outbox.toml` by the command that writes it alone.

use std::path::PathBuf;

use outbox_runtime::catalog::CatalogDocument;

use super::{Output, monitoring};
use crate::arguments::shared::{Partitions, TableNames, Writing};
use crate::arguments::{
    GenerateAll, GenerateAsyncapi, GenerateConfigSchema, GenerateConsumers, GenerateDebezium,
    GenerateMigration,
};
use crate::artifact::refuse_shared;
use crate::config::{Asyncapi, Config, ConfigFile, Debezium, Migrations, SCHEMA_NAME};
use crate::failure::Failure;
use crate::migration::plan;
use crate::{Exit, catalog};

/// Goes on after a failure, so that one run of `--check` reports all sections.
pub(super) fn run(arguments: &GenerateAll) -> Result<Exit, Failure> {
    let file = ConfigFile::find(&arguments.source.source())?;
    let migrations = file.config.migrations.as_ref();
    let migrations = migrations.map(|section| migration(&file, section, arguments.writing));
    let asyncapi = file.config.asyncapi.as_ref();
    let asyncapi = asyncapi.map(|section| self::asyncapi(&file, section, arguments));
    // Before the crate is compiled, which takes longer.
    refuse_shared(asyncapi.iter().flat_map(super::asyncapi::places))?;

    let outputs = outputs(&file, asyncapi.as_ref(), arguments);
    if outputs.is_empty() && migrations.is_none() {
        return Err(Failure::usage(format!(
            "`{}` does not list anything to generate",
            file.path.display()
        ))
        .advise("add a section such as [migrations]"));
    }
    let mut places = vec![(file.path.clone(), "the configuration itself")];
    if let Some(Ok(plan)) = migrations.as_ref().map(plan) {
        let dir = migrations.iter().map(|migration| &migration.dir);
        let files = plan.files();
        places.extend(dir.flat_map(|dir| files.iter().map(|file| (dir.join(&file.name), "a migration"))));
    }
    places.extend(outputs.iter().flatten().flat_map(Output::places));
    refuse_shared(places)?;

    let mut outcomes: Vec<Result<Exit, Failure>> = migrations.iter().map(super::migration).collect();
    outcomes.extend(outputs.into_iter().map(|output| output?.emit(arguments.writing)));
    if let Some(schema) = config_schema(&file, arguments.writing) {
        outcomes.push(schema);
    }
    Ok(worst(outcomes))
}

/// What kept a section from being written or checked matters more than a difference in another one.
fn worst(outcomes: Vec<Result<Exit, Failure>>) -> Exit {
    let exits: Vec<Exit> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|failure| failure.report()))
        .collect();
    let worst = exits
        .iter()
        .find(|exit| !matches!(exit, Exit::Done | Exit::Differences));
    let worst = worst.or_else(|| exits.iter().find(|exit| **exit == Exit::Differences));
    worst.copied().unwrap_or(Exit::Done)
}

/// The files of each section but the migrations', or why there are none.
fn outputs(
    file: &ConfigFile,
    asyncapi: Option<&GenerateAsyncapi>,
    arguments: &GenerateAll,
) -> Vec<Result<Output, Failure>> {
    let mut outputs = Vec::new();
    if let Some(section) = &file.config.debezium {
        let configured = file.config.topic_prefix.as_deref();
        outputs.push(super::debezium(&debezium(file, section, arguments), configured));
    }
    if let Some(section) = &file.config.alerts {
        outputs.push(monitoring::alerts(file, section));
    }
    if let Some(section) = &file.config.dashboard {
        outputs.push(monitoring::dashboard(file, section));
    }
    if of_events(&file.config) {
        // Once for all of them: it compiles the crate.
        match catalog::load(&file.source(&arguments.source.source())) {
            Ok(catalog) => outputs.extend(from_catalog(&catalog, file, asyncapi, arguments)),
            Err(failure) => outputs.push(Err(failure)),
        }
    }
    outputs
}

fn migration(file: &ConfigFile, section: &Migrations, writing: Writing) -> GenerateMigration {
    GenerateMigration {
        database: section.database,
        dir: file.resolve(&section.dir),
        tables: tables(file),
        partitions: Partitions::new(section.partitioned),
        format: section.format,
        down_revision: None,
        check: writing.check,
        force: writing.force,
    }
}

/// Whether there is a section that is made from the events.
fn of_events(config: &Config) -> bool {
    config.schemas.is_some() || config.asyncapi.is_some() || config.consumers.listed().next().is_some()
}

fn from_catalog(
    catalog: &CatalogDocument,
    file: &ConfigFile,
    asyncapi: Option<&GenerateAsyncapi>,
    arguments: &GenerateAll,
) -> Vec<Result<Output, Failure>> {
    let mut outputs = Vec::new();
    if let Some(directory) = file.schemas() {
        outputs.push(super::schemas::output(catalog, directory));
    }
    if let Some(options) = asyncapi {
        let prefix = options.prefix.or(file.config.topic_prefix.as_deref());
        outputs.push(prefix.and_then(|prefix| super::asyncapi::output(catalog, options, &prefix)));
    }
    for (language, section) in file.config.consumers.listed() {
        let options = GenerateConsumers {
            source: arguments.source.clone(),
            language,
            dir: file.resolve(&section.dir),
            writing: arguments.writing,
        };
        outputs.push(super::consumers(catalog, &options));
    }
    outputs
}

fn asyncapi(file: &ConfigFile, section: &Asyncapi, arguments: &GenerateAll) -> GenerateAsyncapi {
    GenerateAsyncapi {
        source: arguments.source.clone(),
        prefix: arguments.prefix.clone(),
        file: file.resolve(&section.file),
        html: section.html.as_ref().map(|page| file.resolve(page)),
        title: section.title.clone(),
        version: section.version.clone(),
        writing: arguments.writing,
    }
}

/// The schema that an editor checks the file with is kept up to date where it lies beside the file.
fn config_schema(file: &ConfigFile, writing: Writing) -> Option<Result<Exit, Failure>> {
    let dir: PathBuf = file.path.parent()?.to_owned();
    dir.join(SCHEMA_NAME).exists().then(|| {
        let options = GenerateConfigSchema { dir, writing };
        super::config_schema(&options).emit(writing)
    })
}

fn debezium(file: &ConfigFile, section: &Debezium, arguments: &GenerateAll) -> GenerateDebezium {
    GenerateDebezium {
        dir: file.resolve(&section.dir),
        tables: tables(file),
        name: section.name.clone(),
        payloads: section.payloads,
        prefix: arguments.prefix.clone(),
        writing: arguments.writing,
    }
}

/// The tables' names are said once, where they are made.
fn tables(file: &ConfigFile) -> TableNames {
    let migrations = file.config.migrations.as_ref();
    TableNames::new(
        migrations.and_then(|section| section.schema.as_deref()),
        migrations.and_then(|section| section.prefix.as_deref()),
    )
}
