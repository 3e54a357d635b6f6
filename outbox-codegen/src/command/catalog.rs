//! `outbox catalog`: the events that a crate declares.

use super::print;
use crate::arguments::Catalog;
use crate::failure::Failure;
use crate::{Exit, catalog};

pub(crate) fn run(arguments: Catalog) -> Result<Exit, Failure> {
    let document = catalog::load(&arguments.source)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::failed("the catalog cannot be written as JSON").because(error))?;
        print(text)?;
        return Ok(Exit::Done);
    }
    for event in &document.events {
        print(format_args!(
            "{}  v{}  {}",
            event.event_type, event.version, event.topic
        ))?;
    }
    Ok(Exit::Done)
}
