//! `outbox generate asyncapi`: what the service sends, as an AsyncAPI document and as a page.

use std::path::Path;

use outbox_runtime::catalog::CatalogDocument;

use crate::Exit;
use crate::arguments::GenerateAsyncapi;
use crate::artifact::Artifact;
use crate::asyncapi::{self, Service};
use crate::failure::Failure;

pub(super) fn run(catalog: &CatalogDocument, arguments: &GenerateAsyncapi) -> Result<Exit, Failure> {
    let service = Service {
        title: arguments.title.as_deref().unwrap_or(&catalog.package),
        version: &arguments.version,
    };
    let document = asyncapi::document(catalog, &service)?;
    let mut artifacts = vec![artifact(&arguments.file, format!("{document:#}\n"))?];
    if let Some(page) = &arguments.html {
        artifacts.push(artifact(page, asyncapi::page(&document))?);
    }
    // Both by their own paths, so that one run writes or checks both.
    super::emit(Path::new(""), &artifacts, arguments.writing)
}

fn artifact(path: &Path, contents: String) -> Result<Artifact, Failure> {
    let name = path.to_str().map(str::to_owned);
    name.map(|name| Artifact { name, contents })
        .ok_or_else(|| Failure::usage(format!("`{}` is not UTF-8", path.display())))
}
