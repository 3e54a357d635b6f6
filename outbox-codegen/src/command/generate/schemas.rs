//! `outbox generate schemas`: a file for each event that has a schema.

use outbox_runtime::catalog::{CatalogDocument, SchemaFile};

use crate::Exit;
use crate::arguments::GenerateSchemas;
use crate::artifact::Artifact;
use crate::failure::Failure;

pub(super) fn run(catalog: &CatalogDocument, arguments: &GenerateSchemas) -> Result<Exit, Failure> {
    let artifacts = files(catalog)?;
    for event in catalog.events.iter().filter(|event| event.schema.is_none()) {
        eprintln!(
            "note: {} v{} has no schema, and so no file; `#[outbox(schema)]` gives it one",
            event.event_type, event.version
        );
    }
    if artifacts.is_empty() {
        return Err(
            Failure::usage(format!("no event of `{}` has a schema", catalog.package))
                .advise("add `schema` to an event's `#[outbox(…)]`, and derive `schemars::JsonSchema`"),
        );
    }
    super::emit(&arguments.dir, &artifacts, arguments.writing)
}

fn files(catalog: &CatalogDocument) -> Result<Vec<Artifact>, Failure> {
    let files = SchemaFile::all(catalog).map_err(|error| Failure::failed(error.to_string()))?;
    let artifact = |file: &SchemaFile| Artifact {
        name: file.name(),
        contents: file.text(),
    };
    Ok(files.iter().map(artifact).collect())
}
