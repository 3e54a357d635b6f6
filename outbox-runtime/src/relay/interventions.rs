//! What operators have decided. A run begins with what is paused and skipped then; when that changes, it comes to its end,
//! and the next one begins with the change. So nothing that a run has under way has to be taken back.

use std::time::Duration;

use tokio::time::Instant;

use crate::relay::goal::Goal;
use crate::relay::report::RelayProgress;
use crate::store::{Interventions, Reader, StoreError};

/// How often is looked for decisions.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Follows the decisions while a run goes on.
pub(super) struct InterventionWatch {
    known: Interventions,
    next_look: Instant,
    changed_at: Option<Instant>,
}

impl InterventionWatch {
    /// Of a run that has begun with these.
    pub(super) fn new(known: Interventions) -> Self {
        Self {
            known,
            next_look: Instant::now() + LOOK_EVERY,
            changed_at: None,
        }
    }

    /// What the run follows.
    pub(super) fn known(&self) -> &Interventions {
        &self.known
    }

    /// When the store is to be asked again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Whether that time has come.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.next_look
    }

    /// The store was asked.
    pub(super) fn asked(&mut self) {
        self.next_look = Instant::now() + LOOK_EVERY;
    }

    /// The store's answer.
    pub(super) fn found(&mut self, found: &Interventions) {
        if self.changed_at.is_none() && !self.known.leave_alone(found) {
            self.changed_at = Some(Instant::now());
        }
    }

    /// Since when something is decided that the run has not begun with: from then on it hands nothing over.
    pub(super) fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }
}

/// What is decided when a run begins. A paused log is waited for, unless a stop only settles what it has begun. Cancel safe.
pub(super) async fn interventions_at_the_start<R: Reader>(
    reader: &mut R,
    goal: Goal,
    progress: &RelayProgress,
) -> Result<Interventions, StoreError> {
    match goal {
        Goal::CatchUp => reader.interventions().await,
        Goal::Stop | Goal::Drain => once_the_log_goes_on(reader, progress).await,
    }
}

/// Waits as long as the log is paused, and returns what else is decided.
async fn once_the_log_goes_on<R: Reader>(
    reader: &mut R,
    progress: &RelayProgress,
) -> Result<Interventions, StoreError> {
    let found = reader.interventions().await?;
    let Some(why) = found.pauses.log() else {
        return Ok(found);
    };
    tracing::info!(
        event = "log_paused",
        why,
        "the log is paused; nothing is sent until an operator resumes it"
    );
    progress.well();
    progress.set_paused(true);
    let _paused = Paused(progress);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = reader.interventions().await?;
        if found.pauses.log().is_none() {
            tracing::info!(event = "log_resumed", "the log is no longer paused");
            return Ok(found);
        }
    }
}

/// Shown until it is dropped.
struct Paused<'a>(&'a RelayProgress);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.set_paused(false);
    }
}
