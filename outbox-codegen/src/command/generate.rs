//! `outbox generate …`: catalog in, files out.

mod all;
mod asyncapi;
mod schemas;

use std::path::Path;

use outbox_runtime::catalog::CatalogDocument;
use outbox_runtime::schema::Dialect;

use super::print;
use crate::arguments::shared::Writing;
use crate::arguments::{
    Generate, GenerateConfigSchema, GenerateConsumers, GenerateDebezium, GenerateMigration, Generated,
};
use crate::artifact::{self, Artifact, generated_by};
use crate::debezium::Debezium;
use crate::failure::Failure;
use crate::migration::plan;
use crate::{Exit, catalog, config, consumers};

pub(crate) fn run(arguments: Generate) -> Result<Exit, Failure> {
    match arguments.what {
        None => all::run(&arguments.all),
        Some(Generated::Migration(arguments)) => migration(&arguments),
        Some(Generated::Debezium(arguments)) => debezium(&arguments),
        Some(Generated::Consumers(arguments)) => consumers(&catalog::load(&arguments.source)?, &arguments),
        Some(Generated::Schemas(arguments)) => schemas::run(&catalog::load(&arguments.source)?, &arguments),
        Some(Generated::Asyncapi(arguments)) => asyncapi::run(&catalog::load(&arguments.source)?, &arguments),
        Some(Generated::ConfigSchema(arguments)) => config_schema(&arguments),
    }
}

pub(super) fn migration(arguments: &GenerateMigration) -> Result<Exit, Failure> {
    let (directory, plan) = (&arguments.dir, plan(arguments)?);
    let files = plan.files();
    if arguments.check {
        artifact::check(directory, &files)?;
        plan.refuse_surplus(directory, Exit::Differences)?;
        print(up_to_date(files.len()))?;
        return Ok(Exit::Done);
    }
    plan.refuse_surplus(directory, Exit::Failed)?;
    let edited = artifact::edited(directory, &plan.older)?;
    if !edited.is_empty() && !arguments.force {
        return Err(Failure::failed(format!(
            "these files are of an older step and are not what was written then:\n  {}",
            edited.join("\n  ")
        ))
        .advise(
            "put them back, because tools refuse a migration that was changed after it was applied; --force \
             goes on and leaves them as they are",
        ));
    }
    for difference in &edited {
        eprintln!("left as it is: {difference}");
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

fn debezium(arguments: &GenerateDebezium) -> Result<Exit, Failure> {
    let tables = arguments.tables.tables(Dialect::Postgres)?;
    let files = Debezium::new(&tables, &arguments.name, arguments.payloads)?.files();
    emit(&arguments.dir, &files, arguments.writing)
}

fn consumers(catalog: &CatalogDocument, arguments: &GenerateConsumers) -> Result<Exit, Failure> {
    let files = consumers::files(catalog, arguments.language)?;
    emit(&arguments.dir, &files, arguments.writing)
}

fn config_schema(arguments: &GenerateConfigSchema) -> Result<Exit, Failure> {
    let mut schema = config::schema();
    let about = generated_by("outbox generate config-schema");
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$comment".to_owned(), about.into());
    }
    let artifacts = [Artifact {
        name: "outbox.schema.json".to_owned(),
        contents: format!("{schema:#}\n"),
    }];
    emit(&arguments.dir, &artifacts, arguments.writing)
}

/// Writes or checks the files of one emitter, and says what came of it.
fn emit(directory: &Path, artifacts: &[Artifact], writing: Writing) -> Result<Exit, Failure> {
    let files = up_to_date(artifacts.len());
    if writing.check {
        artifact::check(directory, artifacts)?;
        print(files)?;
        return Ok(Exit::Done);
    }
    let written = artifact::write(directory, artifacts, writing.force)?;
    if written.is_empty() {
        print(format_args!("nothing to do: {files}"))?;
    }
    for path in written {
        print(format_args!("wrote {}", path.display()))?;
    }
    Ok(Exit::Done)
}

fn up_to_date(files: usize) -> String {
    match files {
        1 => "the file is up to date".to_owned(),
        _ => format!("the {files} files are up to date"),
    }
}
