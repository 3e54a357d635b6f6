//! `outbox shadow`: whether the outbox sends what the service publishes itself.

use std::fmt::Write;

use outbox_runtime::shadow::{Compared, Position, ShadowComparison, ShadowReport};

use super::print;
use crate::Exit;
use crate::arguments::{Shadow, ShadowCommand, ShadowReport as Arguments};
use crate::failure::Failure;
use crate::properties::Properties;

pub(crate) async fn run(shadow: Shadow) -> Result<Exit, Failure> {
    let ShadowCommand::Report(arguments) = shadow.what;
    let report = compare(&arguments).await?;
    match arguments.json {
        true => print(
            serde_json::to_string(&report)
                .map_err(|error| Failure::failed("cannot write the report as JSON").because(error))?,
        )?,
        false => print(text(&report))?,
    }
    Ok(match report.is_equal() {
        true => Exit::Done,
        false => Exit::Differences,
    })
}

async fn compare(arguments: &Arguments) -> Result<ShadowReport, Failure> {
    let properties = Properties::read(&arguments.properties)?;
    let comparison = ShadowComparison::new(&arguments.brokers, properties.tokens)
        .topic_prefix(&arguments.topic_prefix)
        .max_records(arguments.records)
        .timeout(arguments.connect_timeout);
    let given = properties.given.into_iter();
    let comparison = given.fold(comparison, |comparison, (key, value)| {
        comparison.property(key, value)
    });
    let default = format!("{}.shadow", arguments.topic);
    let shadow = arguments.shadow.as_deref().unwrap_or(&default);
    comparison
        .compare(&arguments.topic, shadow, arguments.from, arguments.to)
        .await
        .map_err(|error| {
            Failure::new(Exit::Unreachable, "the topics cannot be compared")
                .because(error)
                .advise("check --brokers, --topic, --shadow and -X")
        })
}

fn text(report: &ShadowReport) -> String {
    let mut text = format!(
        "own records     {}\nshadow records  {}\nmatched         {}\nmissing         {}\nextra           {}\n\
         reordered       {}\nchanged         {}",
        report.own,
        report.shadow,
        report.matched,
        report.missing,
        report.extra,
        report.reordered,
        report.changed
    );
    // Writing to a string cannot fail.
    if let Some(latency) = report.latency {
        let _ = write!(
            text,
            "\nlater by        {} ms (median), {} ms (99 %), {} ms (most)",
            latency.median_ms, latency.p99_ms, latency.max_ms
        );
    }
    let kinds = [
        ("missing", &report.examples.missing),
        ("extra", &report.examples.extra),
        ("reordered", &report.examples.reordered),
        ("changed", &report.examples.changed),
    ];
    for (kind, examples) in kinds {
        for example in examples {
            let _ = write!(text, "\n{kind}: {}", one(example));
        }
    }
    if !report.complete {
        text += "\nnot all records were read: narrow --from and --to, or raise --records";
    }
    text
}

fn one(example: &Compared) -> String {
    let place = |what: &str, position: Option<Position>| {
        position.map(
            |Position {
                 partition, offset, ..
             }| format!("{what} {partition}/{offset}"),
        )
    };
    let parts = [
        example.key.as_ref().map(|key| format!("key {key}")),
        example.id.as_ref().map(|id| format!("id {id}")),
        place("own", example.own),
        place("shadow", example.shadow),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
