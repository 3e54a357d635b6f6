//! `outbox generate --all`: every section of `outbox.toml` by the command that writes it alone.

use outbox_runtime::catalog::CatalogDocument;

use crate::arguments::shared::{TableNames, Writing};
use crate::arguments::{GenerateAll, GenerateAsyncapi, GenerateDebezium, GenerateMigration, GenerateSchemas};
use crate::config::{Config, ConfigFile, Debezium, Migrations};
use crate::failure::Failure;
use crate::{Exit, catalog};

/// Goes on after a failure, so that one run of `--check` tells of all sections.
pub(super) fn run(arguments: &GenerateAll) -> Result<Exit, Failure> {
    let manifest = arguments.source.manifest_path.as_deref();
    let file = ConfigFile::find(arguments.config.as_deref(), manifest)?;
    let Config {
        migrations,
        debezium,
        schemas,
        asyncapi,
        ..
    } = &file.config;
    let mut outcomes = Vec::new();
    if let Some(section) = migrations {
        outcomes.push(super::migration(&migration(&file, section, arguments.writing)));
    }
    if let Some(section) = debezium {
        outcomes.push(super::debezium(&connect(&file, section, arguments.writing)));
    }
    if file.config.consumers.listed().next().is_some() {
        let catalog = catalog::load(&file.source(&arguments.source));
        outcomes.push(catalog.and_then(|catalog| consumers(&catalog, &file, arguments.writing)));
    }
    if let Some(section) = schemas {
        outcomes.push(super::schemas::run(&GenerateSchemas {
            source: file.source(&arguments.source),
            dir: file.resolve(&section.dir),
            writing: arguments.writing,
        }));
    }
    if let Some(section) = asyncapi {
        outcomes.push(super::asyncapi::run(&GenerateAsyncapi {
            source: file.source(&arguments.source),
            file: file.resolve(&section.file),
            html: section.html.as_ref().map(|page| file.resolve(page)),
            title: section.title.clone(),
            version: section.version.clone(),
            writing: arguments.writing,
        }));
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
        format: section.format,
        down_revision: None,
        check: writing.check,
        force: writing.force,
    }
}

/// Sections of several languages.
fn consumers(catalog: &CatalogDocument, file: &ConfigFile, writing: Writing) -> Result<Exit, Failure> {
    for (language, section) in file.config.consumers.listed() {
        super::consumers_of(catalog, language, &file.resolve(&section.dir), writing)?;
    }
    Ok(Exit::Done)
}

fn connect(file: &ConfigFile, section: &Debezium, writing: Writing) -> GenerateDebezium {
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
