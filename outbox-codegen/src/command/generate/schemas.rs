//! `outbox generate schemas`: a file for each event that has a schema.

use std::path::PathBuf;

use outbox_runtime::catalog::{CatalogDocument, SchemaFile};

use super::Output;
use crate::arguments::GenerateSchemas;
use crate::artifact::{Artifact, Former};
use crate::config::{ConfigFile, Schemas};
use crate::failure::Failure;
use crate::say::say;
use crate::{Exit, catalog};

pub(super) fn run(arguments: &GenerateSchemas) -> Result<Exit, Failure> {
    let file = ConfigFile::search(&arguments.source.source())?;
    let directory = arguments
        .dir
        .clone()
        .or_else(|| file.as_ref().and_then(ConfigFile::schemas))
        .unwrap_or_else(|| Schemas::default().dir);
    let catalog = match &file {
        Some(file) => catalog::load(&file.source(&arguments.source.source())),
        None => catalog::load(&arguments.source.source()),
    }?;
    output(&catalog, directory)?.emit(arguments.writing)
}

pub(super) fn output(catalog: &CatalogDocument, directory: PathBuf) -> Result<Output, Failure> {
    let artifacts = files(catalog)?;
    for event in catalog.events.iter().filter(|event| event.schema.is_none()) {
        say(format_args!(
            "note: {} v{} has no schema and therefore no file; add `#[outbox(schema)]`",
            event.event_type, event.version
        ));
    }
    // Packages may keep their schemas in one directory.
    let of_package = format!("\"urn:outbox:{}:", catalog.package);
    let former = Former {
        command: "outbox generate schemas".to_owned(),
        extensions: &["json"],
        is_own: Box::new(move |text| text.contains(&of_package)),
    };
    if artifacts.is_empty() && former.surplus(&directory, &artifacts)?.is_empty() {
        return Err(
            Failure::usage(format!("no event of `{}` has a schema", catalog.package))
                .advise("add `schema` to an event's `#[outbox(…)]`, and derive `schemars::JsonSchema`"),
        );
    }
    Ok(Output {
        names: vec!["an event's schema"],
        directory,
        artifacts,
        former: Some(former),
    })
}

fn files(catalog: &CatalogDocument) -> Result<Vec<Artifact>, Failure> {
    let files = SchemaFile::all(catalog).map_err(|error| Failure::failed(error.to_string()))?;
    let artifact = |file: &SchemaFile| Artifact {
        name: file.name(),
        contents: file.text(),
    };
    Ok(files.iter().map(artifact).collect())
}
