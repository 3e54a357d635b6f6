//! `outbox schema …`: do readers and writers of different versions understand each other?

mod baseline;

use outbox_compatibility::compare;

use super::print;
use crate::arguments::{Schema, SchemaCheck, SchemaCommand};
use crate::config::{ConfigFile, Schemas};
use crate::failure::Failure;
use crate::say::say;
use crate::{Exit, catalog};

pub(crate) fn run(arguments: Schema) -> Result<Exit, Failure> {
    match arguments.what {
        SchemaCommand::Check(arguments) => check(&arguments),
    }
}

fn check(arguments: &SchemaCheck) -> Result<Exit, Failure> {
    let file = ConfigFile::search(&arguments.source.source())?;
    let usual = file.as_ref().and_then(ConfigFile::schemas);
    // Before the crate is compiled, which takes longer.
    let before = baseline::read(
        &arguments.against,
        &usual.unwrap_or_else(|| Schemas::default().dir),
    )?;
    let catalog = catalog::load(&match &file {
        Some(file) => file.source(&arguments.source.source()),
        None => arguments.source.source(),
    })?;
    let report = compare(&before.files, &catalog, arguments.compatibility.into())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let nothing = format!(
        "nothing to compare: there is no schema file in `{}` yet",
        before.place
    );
    if before.files.is_empty() {
        // What a program reads holds the report alone.
        if arguments.json {
            say(format_args!("note: {nothing}"));
        } else {
            print(nothing)?;
        }
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::failed("cannot write the report as JSON").because(error))?;
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
