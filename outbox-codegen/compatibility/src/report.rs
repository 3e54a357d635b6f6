//! What a comparison found, for a person and for a program.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Required compatibility between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Backward and forward.
    Full,
    /// New readers read old data.
    Backward,
    /// Old readers read new data.
    Forward,
    /// No requirement; changes are only listed.
    None,
}

impl Compatibility {
    fn asks_for(self, direction: Direction) -> bool {
        match self {
            Self::Full => true,
            Self::Backward => direction == Direction::Backward,
            Self::Forward => direction == Direction::Forward,
            Self::None => false,
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::None => "none",
        })
    }
}

/// A direction of compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// New readers, old data.
    Backward,
    /// Old readers, new data.
    Forward,
}

/// A direction that a change breaks, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// The direction.
    pub direction: Direction,
    /// The reason.
    pub reason: String,
}

/// One change of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The changed part: a path in the payload, such as `$.lines[*].price`; or `topic`, `key`, `aggregate`,
    /// `content_type`, `source`, `headers.<name>`, `event`.
    pub path: String,
    /// The change.
    pub change: String,
    /// The broken directions; empty for a compatible change.
    pub breaks: Vec<Break>,
    /// Advice, if the change breaks a direction.
    pub advice: Option<String>,
}

/// State of an event in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// The event did not change.
    Unchanged,
    /// The event changed.
    Changed,
    /// The event is not among the old schemas.
    New,
    /// The event is only among the old schemas.
    Removed,
    /// The event has no schema and cannot be compared.
    Unchecked,
}

/// The comparison of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventComparison {
    /// The type, as sent in `ce_type`.
    pub event_type: String,
    /// The current version, or the last version of a removed event.
    pub version: u32,
    /// The earlier version.
    pub compared_with: Option<u32>,
    /// The state.
    pub state: EventState,
    /// The differences.
    pub differences: Vec<Difference>,
}

/// Comparison of all events of a catalog with earlier schemas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompatibilityReport {
    /// The version of this format: 1.
    pub schema_version: u32,
    /// The required compatibility.
    pub compatibility: Compatibility,
    /// Whether the events are compatible.
    pub compatible: bool,
    /// The events, by type and version.
    pub events: Vec<EventComparison>,
}

impl CompatibilityReport {
    pub(super) fn new(compatibility: Compatibility, events: Vec<EventComparison>) -> Self {
        let report = Self {
            schema_version: 1,
            compatibility,
            compatible: false,
            events,
        };
        let compatible = report.breaking().next().is_none();
        Self { compatible, ..report }
    }

    /// The differences that break the required compatibility, each with its event.
    pub fn breaking(&self) -> impl Iterator<Item = (&EventComparison, &Difference)> {
        let differences = self.events.iter().flat_map(|event| {
            event
                .differences
                .iter()
                .map(move |difference| (event, difference))
        });
        differences.filter(|(_, difference)| self.is_breaking(difference))
    }

    fn is_breaking(&self, difference: &Difference) -> bool {
        let mut broken = difference.breaks.iter();
        broken.any(|broken| self.compatibility.asks_for(broken.direction))
    }

    fn write_event(&self, f: &mut fmt::Formatter<'_>, event: &EventComparison) -> fmt::Result {
        let EventComparison {
            event_type,
            version,
            state,
            ..
        } = event;
        match state {
            EventState::Unchanged => return Ok(()),
            EventState::New => writeln!(f, "{event_type} v{version}: new")?,
            EventState::Unchecked => {
                writeln!(
                    f,
                    "{event_type} v{version}: not checked, it has no schema; give it `#[outbox(schema)]`"
                )?;
            }
            EventState::Removed => writeln!(f, "{event_type} v{version}: removed")?,
            EventState::Changed => match event.compared_with {
                Some(before) if before != *version => {
                    writeln!(
                        f,
                        "{event_type} v{version}: changed since v{before}, under the same type"
                    )?;
                }
                _ => writeln!(f, "{event_type} v{version}: changed")?,
            },
        }
        for difference in &event.differences {
            self.write_difference(f, difference)?;
        }
        Ok(())
    }

    fn write_difference(&self, f: &mut fmt::Formatter<'_>, difference: &Difference) -> fmt::Result {
        let verdict = match self.is_breaking(difference) {
            true => "breaks",
            false => "allowed",
        };
        writeln!(f, "  {verdict}  {}: {}", difference.path, difference.change)?;
        for Break { direction, reason } in &difference.breaks {
            let direction = match direction {
                Direction::Backward => "backward",
                Direction::Forward => "forward",
            };
            writeln!(f, "    {direction}: {reason}")?;
        }
        if let Some(advice) = &difference.advice {
            writeln!(f, "    what to do: {advice}")?;
        }
        Ok(())
    }
}

/// The events that are not as they were, and what is not checked.
impl fmt::Display for CompatibilityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            self.write_event(f, event)?;
        }
        let count = |wanted: &[EventState]| {
            self.events
                .iter()
                .filter(|event| wanted.contains(&event.state))
                .count()
        };
        write!(
            f,
            "{}: {} events compared, {} new, {} not checked, {} breaking changes",
            if self.compatible {
                "compatible"
            } else {
                "not compatible"
            },
            count(&[EventState::Unchanged, EventState::Changed, EventState::Removed]),
            count(&[EventState::New]),
            count(&[EventState::Unchecked]),
            self.breaking().count(),
        )
    }
}
