//! `outbox schema …`: do readers and writers of different versions understand each other?

mod baseline;

use outbox_runtime::catalog::compatibility::compare;

use super::print;
use crate::arguments::{Schema, SchemaCheck, SchemaCommand};
use crate::failure::Failure;
use crate::{Exit, catalog};

pub(crate) fn run(arguments: Schema) -> Result<Exit, Failure> {
    match arguments.what {
        SchemaCommand::Check(arguments) => check(&arguments),
    }
}

fn check(arguments: &SchemaCheck) -> Result<Exit, Failure> {
    // Before the crate is compiled, which takes longer.
    let old = baseline::read(&arguments.against)?;
    let catalog = catalog::load(&arguments.source)?;
    let report = compare(&old, &catalog, arguments.compatibility.into())
        .map_err(|error| Failure::failed(error.to_string()))?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::failed("the report cannot be written as JSON").because(error))?;
        print(text)?;
    } else {
        print(&report)?;
    }
    Ok(if report.compatible {
        Exit::Done
    } else {
        Exit::Differences
    })
}
