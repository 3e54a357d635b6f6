//! What operators have decided about messages that wait, as the active relay sees it.

use std::collections::BTreeMap;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::pauses::Pauses;
use super::throttles::Throttles;

/// The decisions of operators about undelivered messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interventions {
    /// What is paused.
    pub pauses: Pauses,
    /// Messages to dead-letter when the relay reaches them.
    pub skips: Skips,
    /// Limits of messages and bytes per second.
    pub throttles: Throttles,
}

impl Interventions {
    /// Whether a run that has begun with the one can go on with the other.
    pub(crate) fn leave_alone(&self, other: &Self) -> bool {
        self.pauses == other.pauses && self.skips == other.skips
    }
}

/// Messages to dead-letter when the relay reaches them, each with a human-readable reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips(BTreeMap<Uuid, String>);

impl Skips {
    /// Why a message is to be skipped; `None` if it is not.
    pub fn why(&self, id: &Uuid) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(id).map(String::as_str)
    }
}

impl FromIterator<(Uuid, String)> for Skips {
    fn from_iter<I: IntoIterator<Item = (Uuid, String)>>(skips: I) -> Self {
        Self(skips.into_iter().collect())
    }
}

/// The columns of a decision, as [`list`] reads them.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) type Columns = (
    String,
    String,
    String,
    Option<String>,
    DateTime<Utc>,
    String,
    String,
);

/// A row of the table of decisions.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(Debug, Clone)]
pub(in crate::store) struct Decided {
    pub(super) control: String,
    pub(super) scope: String,
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) changed_at: DateTime<Utc>,
    pub(super) changed_by: String,
    pub(super) reason: String,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl From<Columns> for Decided {
    fn from((control, scope, name, value, changed_at, changed_by, reason): Columns) -> Self {
        Self {
            control,
            scope,
            name,
            value,
            changed_at,
            changed_by,
            reason,
        }
    }
}

/// The statement that reads the [`Columns`] of all decisions.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) fn list(controls: &str) -> String {
    format!(
        "SELECT control, scope, name, value, changed_at, changed_by, reason FROM {controls}
         ORDER BY control, scope = 'key', scope, name"
    )
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl FromIterator<Columns> for Interventions {
    fn from_iter<I: IntoIterator<Item = Columns>>(rows: I) -> Self {
        use super::pauses::Pause;
        use super::skips::SkipRequest;
        use super::throttles::Throttle;

        let (mut pauses, mut skips, mut throttles) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows.into_iter().map(Decided::from) {
            pauses.extend(Pause::of(row.clone()));
            skips.extend(SkipRequest::of(row.clone()));
            throttles.extend(Throttle::of(row));
        }
        let skips = skips.into_iter().map(|skip| (skip.id, skip.to_string()));
        Self {
            pauses: pauses.into_iter().collect(),
            skips: skips.collect(),
            throttles: throttles.into_iter().collect(),
        }
    }
}
