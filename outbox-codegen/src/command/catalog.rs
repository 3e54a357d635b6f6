//! `outbox catalog`: the events that a crate declares.

use outbox_runtime::catalog::{CatalogDocument, EventDescription};

use super::print;
use crate::Exit;
use crate::arguments::Catalog;
use crate::config::load_catalog;
use crate::failure::Failure;
use crate::say::say;

pub(crate) fn run(arguments: Catalog) -> Result<Exit, Failure> {
    let document = load_catalog(&arguments.source.source())?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::failed("cannot write the catalog as JSON").because(error))?;
        print(text)?;
    } else if document.events.is_empty() {
        print(format_args!("`{}` declares no events", document.package))?;
    } else {
        print(table(&document))?;
    }
    let warnings = document.warnings();
    let word = if arguments.strict { "error" } else { "warning" };
    for warning in &warnings {
        say(format_args!("{word}: {warning}"));
    }
    match arguments.strict && !warnings.is_empty() {
        true => Ok(Exit::Differences),
        false => Ok(Exit::Done),
    }
}

/// One event a line, in columns.
fn table(document: &CatalogDocument) -> String {
    let heads = [
        "EVENT",
        "VERSION",
        "TOPIC",
        "AGGREGATE",
        "KEY",
        "SCHEMA",
        "DECLARED AT",
    ]
    .map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(heads)
        .chain(document.events.iter().map(row))
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(event: &EventDescription) -> [String; 7] {
    [
        event.event_type.clone(),
        event.version.to_string(),
        event.topic.clone(),
        event.aggregate.clone(),
        event.key.clone(),
        if event.schema.is_some() { "yes" } else { "no" }.to_owned(),
        event.location.to_string(),
    ]
}
