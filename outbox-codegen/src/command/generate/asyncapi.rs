//! `outbox generate asyncapi`: what the service sends, as an AsyncAPI document and as a page.

use std::path::PathBuf;

use outbox_runtime::catalog::CatalogDocument;

use super::{Output, artifact};
use crate::Exit;
use crate::arguments::GenerateAsyncapi;
use crate::artifact::refuse_shared;
use crate::asyncapi::{self, Service};
use crate::config::{ConfigFile, load_catalog};
use crate::failure::Failure;

const NAMES: [&str; 2] = ["the AsyncAPI document", "its page"];

pub(super) fn run(arguments: &GenerateAsyncapi) -> Result<Exit, Failure> {
    // Before the crate is compiled, which takes longer.
    refuse_shared(places(arguments))?;
    let file = ConfigFile::search(&arguments.source.source())?;
    let configured = file.as_ref().and_then(|file| file.config.topic_prefix.as_deref());
    let prefix = arguments.prefix.or(configured)?;
    output(&load_catalog(&arguments.source.source())?, arguments, &prefix)?.emit(arguments.writing)
}

/// Where the document and the page are written.
pub(super) fn places(arguments: &GenerateAsyncapi) -> impl Iterator<Item = (PathBuf, &'static str)> {
    std::iter::once(arguments.file.clone())
        .chain(arguments.html.clone())
        .zip(NAMES)
}

pub(super) fn output(
    catalog: &CatalogDocument,
    arguments: &GenerateAsyncapi,
    prefix: &str,
) -> Result<Output, Failure> {
    let mut catalog = catalog.clone();
    for event in &mut catalog.events {
        event.topic.insert_str(0, prefix);
    }
    let service = Service {
        title: arguments.title.as_deref().unwrap_or(&catalog.package),
        version: &arguments.version,
    };
    let document = asyncapi::document(&catalog, &service)?;
    let mut artifacts = vec![artifact(&arguments.file, format!("{document:#}\n"))?];
    if let Some(page) = &arguments.html {
        artifacts.push(artifact(page, asyncapi::page(&document))?);
    }
    Ok(Output {
        names: NAMES.to_vec(),
        // Both by their own paths, so that one run writes or checks both.
        directory: PathBuf::new(),
        artifacts,
        former: None,
    })
}
