//! `outbox generate --all`: every section of `outbox.toml` by the command that writes it alone.

use outbox_runtime::catalog::CatalogDocument;

use crate::arguments::shared::{Partitions, TableNames, Writing};
use crate::arguments::{
    GenerateAll, GenerateAsyncapi, GenerateConsumers, GenerateDebezium, GenerateMigration, GenerateSchemas,
};
use crate::config::{Config, ConfigFile, Debezium, Migrations};
use crate::failure::Failure;
use crate::{Exit, catalog};

/// Goes on after a failure, so that one run of `--check` tells of all sections.
pub(super) fn run(arguments: &GenerateAll) -> Result<Exit, Failure> {
    let manifest = arguments.source.manifest_path.as_deref();
    let file = ConfigFile::find(arguments.config.as_deref(), manifest)?;
    let mut outcomes = Vec::new();
    if let Some(section) = &file.config.migrations {
        outcomes.push(super::migration(&migration(&file, section, arguments.writing)));
    }
    if let Some(section) = &file.config.debezium {
        outcomes.push(super::debezium(&debezium(&file, section, arguments.writing)));
    }
    if of_events(&file.config) {
        // Once for all of them: it compiles the crate.
        match catalog::load(&file.source(&arguments.source)) {
            Ok(catalog) => outcomes.extend(from_catalog(&catalog, &file, arguments)),
            Err(failure) => outcomes.push(Err(failure)),
        }
    }
    if outcomes.is_empty() {
        return Err(
            Failure::usage(format!("`{}` lists nothing to generate", file.path.display()))
                .advise("add a section such as [migrations]"),
        );
    }
    let exits: Vec<Exit> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|failure| failure.report()))
        .collect();
    // What kept a section from being written or checked matters more than a difference in another one.
    let worst = exits
        .iter()
        .find(|exit| !matches!(exit, Exit::Done | Exit::Differences));
    let worst = worst.or_else(|| exits.iter().find(|exit| **exit == Exit::Differences));
    Ok(worst.copied().unwrap_or(Exit::Done))
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
    arguments: &GenerateAll,
) -> Vec<Result<Exit, Failure>> {
    let (source, writing) = (file.source(&arguments.source), arguments.writing);
    let mut outcomes = Vec::new();
    if let Some(section) = &file.config.schemas {
        let options = GenerateSchemas {
            source: source.clone(),
            dir: file.resolve(&section.dir),
            writing,
        };
        outcomes.push(super::schemas::run(catalog, &options));
    }
    if let Some(section) = &file.config.asyncapi {
        let options = GenerateAsyncapi {
            source: source.clone(),
            file: file.resolve(&section.file),
            html: section.html.as_ref().map(|page| file.resolve(page)),
            title: section.title.clone(),
            version: section.version.clone(),
            writing,
        };
        outcomes.push(super::asyncapi::run(catalog, &options));
    }
    for (language, section) in file.config.consumers.listed() {
        let options = GenerateConsumers {
            source: source.clone(),
            language,
            dir: file.resolve(&section.dir),
            writing,
        };
        outcomes.push(super::consumers(catalog, &options));
    }
    outcomes
}

fn debezium(file: &ConfigFile, section: &Debezium, writing: Writing) -> GenerateDebezium {
    GenerateDebezium {
        dir: file.resolve(&section.dir),
        tables: tables(file),
        name: section.name.clone(),
        payloads: section.payloads,
        writing,
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
