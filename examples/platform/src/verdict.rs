//! Whether it went as it should: what was committed is in the broker, in order, and nothing else; nothing was done twice;
//! and each batch has the ranking that its essays deserve.

use std::collections::HashMap;

use anyhow::Result;
use outbox_runtime::testkit::checker::{Committed, CommittedEvent, DeliveredRecord, Report};
use outbox_runtime::{InboxMessage, Payload};
use uuid::Uuid;

use crate::report::Ranked;
use crate::story::Story;

/// What was found.
pub(crate) struct Verdict {
    services: usize,
    report: Report,
    /// Kills may repeat records on their way: consumers recognize them.
    duplicates_allowed: bool,
    /// What was done more than once, or not at all.
    effects: Vec<String>,
    /// Batches with another ranking than they deserve.
    wrong: Vec<String>,
    batches: usize,
}

impl Verdict {
    /// Compares all databases with all topics, and the rankings with those that the essays deserve.
    pub(crate) fn of(
        story: &Story,
        rankings: &[(Uuid, Vec<Ranked>)],
        deserved: &[(String, f64)],
        handed_in: usize,
        duplicates_allowed: bool,
    ) -> Result<Self> {
        let mut committed = Committed::new();
        for event in &story.events {
            let message = &event.message;
            let value = match message.payload() {
                Payload::Json(text) => Some(text.as_bytes()),
                Payload::Binary(bytes) => Some(bytes.as_slice()),
                _ => None,
            };
            let headers: Vec<(&str, &str)> = message
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            committed.event(CommittedEvent {
                id: message.id(),
                topic: message.topic(),
                key: message.key(),
                value,
                headers: &headers,
                written: event.written,
            })?;
        }
        let report = committed.check(story.records.iter().map(delivered), []);
        let wrong = rankings.iter().filter_map(|(batch, ranked)| {
            let difference = difference(ranked, deserved)?;
            Some(format!("batch {batch}: {difference}"))
        });
        Ok(Self {
            services: crate::arguments::Name::ALL.len(),
            report,
            duplicates_allowed,
            effects: effects(story, rankings, handed_in, deserved.len()),
            wrong: wrong.collect(),
            batches: rankings.len(),
        })
    }

    /// Whether all is as it should be.
    pub(crate) fn holds(&self) -> bool {
        let delivered = match self.duplicates_allowed {
            true => self.report.holds(),
            false => self.report.is_exact(),
        };
        delivered && self.effects.is_empty() && self.wrong.is_empty()
    }
}

fn delivered(record: &InboxMessage) -> DeliveredRecord<'_> {
    DeliveredRecord {
        topic: record.topic(),
        partition: record.partition(),
        offset: record.offset(),
        id: record.header("ce_id").and_then(|id| Uuid::parse_str(id).ok()),
        key: record.key(),
        value: record.value(),
        headers: record.headers(),
        timestamp_ms: record.timestamp_ms(),
    }
}

/// In what a ranking differs from the deserved one.
fn difference(ranked: &[Ranked], deserved: &[(String, f64)]) -> Option<String> {
    let found: Vec<_> = ranked.iter().filter(|essay| essay.rank.is_some()).collect();
    if found.len() != deserved.len() {
        return Some(format!("{} of {} essays are ranked", found.len(), deserved.len()));
    }
    for (essay, (file, score)) in found.iter().zip(deserved) {
        // Equal scores go by the essays' ids, which are others in each batch.
        let same = (essay.score.unwrap_or(f64::NAN) - score).abs() < 1e-6;
        if !same {
            return Some(format!(
                "{} has the score {:?} where {file} with {score} should be",
                essay.file, essay.score
            ));
        }
    }
    None
}

/// What happens once in each batch, or once for each of its essays, and did not.
fn effects(story: &Story, rankings: &[(Uuid, Vec<Ranked>)], files: usize, passing: usize) -> Vec<String> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    for event in &story.events {
        let batch = event.field("batch_id").unwrap_or_default();
        *counts.entry((batch, event.kind())).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for (batch, _) in rankings {
        let batch = batch.to_string();
        let expected = [
            ("BatchEssaysRegistered", 1),
            ("BatchFileAddedV1", files),
            ("EssayContentProvisionedV1", passing),
            ("EssayValidationFailedV1", files.saturating_sub(passing)),
            ("EssaySlotAssignedV1", passing),
            ("BatchEssaysReadyV1", 1),
            ("BatchSpellcheckInitiateCommandV1", 1),
            ("EssaySpellcheckRequestedV1", passing),
            ("SpellcheckCompletedV1", passing),
            ("BatchPhaseCompletedV1", 2),
            ("BatchCjAssessmentInitiateCommandV1", 1),
            ("CJAssessmentCompletedV1", 1),
            ("BatchResultsReadyV1", 1),
        ];
        for (kind, times) in expected {
            let found = counts.get(&(batch.as_str(), kind)).copied().unwrap_or_default();
            if found != times {
                wrong.push(format!(
                    "batch {batch}: {kind} was emitted {found} times, not {times}"
                ));
            }
        }
    }
    wrong
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { report, batches, .. } = self;
        writeln!(
            f,
            "{} services committed {} events; {} records arrived, of which {} came again",
            self.services,
            report.committed,
            report.delivered,
            report.duplicates.len(),
        )?;
        if self.holds() {
            writeln!(
                f,
                "Every committed event arrived, in order, and nothing else did."
            )?;
            writeln!(f, "Nothing was done twice.")?;
            return write!(
                f,
                "{batches} of {batches} batches have the ranking that their essays deserve."
            );
        }
        writeln!(f, "The checker: {report}")?;
        for line in self.effects.iter().chain(&self.wrong) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
