//! How long each stage of a batch takes.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::story::{Event, Story};

/// A stage: the first event of one type until the last event of another.
const STAGES: [(&str, &str, &str); 6] = [
    ("files in, slots filled", "BatchFileAddedV1", "BatchEssaysReadyV1"),
    (
        "spelling requested",
        "BatchEssaysReadyV1",
        "EssaySpellcheckRequestedV1",
    ),
    (
        "spelling checked",
        "EssaySpellcheckRequestedV1",
        "SpellcheckCompletedV1",
    ),
    ("ranked", "SpellcheckCompletedV1", "CJAssessmentCompletedV1"),
    ("results joined", "CJAssessmentCompletedV1", "BatchResultsReadyV1"),
    ("all", "BatchEssaysRegistered", "BatchResultsReadyV1"),
];

/// A table of all stages, and the rate of events.
pub(crate) fn table(story: &Story, batches: &[Uuid]) -> String {
    let batches: Vec<Vec<&Event>> = batches.iter().map(|batch| story.of_batch(*batch)).collect();
    let mut table = format!(
        "{:<24} {:>9} {:>9} {:>9}\n",
        "stage, of a batch", "p50 ms", "p99 ms", "max ms"
    );
    for (stage, from, to) in STAGES {
        let mut took: Vec<i64> = batches
            .iter()
            .filter_map(|events| {
                let end = last(events, to)?;
                // A batch's stage begins when the one before has ended.
                let begin = match from {
                    "SpellcheckCompletedV1" => last(events, from)?,
                    _ => first(events, from)?,
                };
                Some((end - begin).num_milliseconds())
            })
            .collect();
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).or(took.last());
        let (p50, p99, max) = (at(50), at(99), took.last());
        let text = |value: Option<&i64>| value.map_or_else(|| "-".to_owned(), i64::to_string);
        let _ = writeln!(
            table,
            "{stage:<24} {:>9} {:>9} {:>9}",
            text(p50),
            text(p99),
            text(max)
        );
    }
    let times = || story.events.iter().map(Event::at);
    if let (Some(begin), Some(end)) = (times().min(), times().max()) {
        let seconds = (end - begin).as_seconds_f64().max(0.001);
        let rate = story.events.len() as f64 / seconds;
        let _ = writeln!(
            table,
            "{} batches, {} events in {seconds:.1} s: {rate:.0} events/s",
            batches.len(),
            story.events.len()
        );
    }
    table
}

fn first(events: &[&Event], kind: &str) -> Option<DateTime<Utc>> {
    let of_kind = events.iter().filter(|event| event.kind() == kind);
    of_kind.map(|event| event.at()).min()
}

fn last(events: &[&Event], kind: &str) -> Option<DateTime<Utc>> {
    let of_kind = events.iter().filter(|event| event.kind() == kind);
    of_kind.map(|event| event.at()).max()
}
