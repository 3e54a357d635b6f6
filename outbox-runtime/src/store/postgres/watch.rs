//! Looks again and again, while a relay works, whether the tables still are what they are taken for.
//!
//! What a relay's start checks can be changed under it with one statement, and most of that makes no statement of the
//! relay fail. The look has a connection of its own, so it holds up nothing, and what it finds ends the reader.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::connection::Connection;
use super::options::Options;
use crate::schema::{Finding, SchemaError, Severity};
use crate::store::{StoreError, StoreErrorKind};
use crate::{ErrorChain, Tables};

/// The first look comes soon after the start, and later ones less often: some twenty short questions to the catalog.
const FIRST: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(60);

/// Warnings that were logged, for one store.
#[derive(Debug, Clone, Default)]
pub(super) struct Warned(Arc<Mutex<HashSet<String>>>);

impl Warned {
    /// Logs what was not logged before.
    pub(super) fn warn(&self, warnings: &[Finding]) {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            let warning = warning.to_string();
            if !logged.contains(&warning) {
                tracing::warn!("the outbox tables lack something: {warning}");
                logged.insert(warning);
            }
        }
    }
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    found: Arc<Mutex<Option<StoreError>>>,
    sooner: Arc<Notify>,
    task: AbortHandle,
}

impl Watch {
    pub(super) fn start(options: Options, tables: Tables, warned: Warned) -> Self {
        let found = Arc::default();
        let sooner = Arc::new(Notify::new());
        let looks = looks(options, tables, warned, Arc::clone(&found), Arc::clone(&sooner));
        Self {
            found,
            sooner,
            task: tokio::spawn(looks).abort_handle(),
        }
    }

    /// Something was exchanged: the next look is now.
    pub(super) fn look_now(&self) {
        self.sooner.notify_one();
    }

    /// What was found, which ends the relay.
    pub(super) fn verdict(&self) -> Result<(), StoreError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.take().map_or(Ok(()), Err)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn looks(
    options: Options,
    tables: Tables,
    warned: Warned,
    found: Arc<Mutex<Option<StoreError>>>,
    sooner: Arc<Notify>,
) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = sooner.notified() => {}
        }
        pause = (pause * 2).min(AT_MOST);
        match look(&options, &tables, &warned).await {
            Ok(None) => {}
            Ok(Some(error)) => {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
            // The reader finds out by itself, if it is more than this connection's trouble.
            Err(error) => {
                tracing::debug!(error = %ErrorChain::new(&error), "the tables could not be looked at");
            }
        }
    }
}

async fn look(options: &Options, tables: &Tables, warned: &Warned) -> Result<Option<StoreError>, StoreError> {
    let mut connection = Connection::open(options).await?;
    if let Some(other) = connection.other_version(tables).await? {
        return Ok(Some(other.into()));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = connection
        .differences(tables)
        .await?
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    warned.warn(&warnings);
    Ok(broken(errors, tables))
}

/// What is missing makes statements fail, and whoever takes it away may give it back: the reader waits. What is
/// different from what it was taken for may fail nothing.
fn broken(errors: Vec<Finding>, tables: &Tables) -> Option<StoreError> {
    let different = errors.iter().filter(|finding| finding.found.is_some());
    let different: Vec<_> = different.map(Finding::to_string).collect();
    let error = SchemaError::Different {
        findings: different.join("; "),
        arguments: tables.as_arguments(),
    };
    (!different.is_empty()).then(|| StoreError::new(StoreErrorKind::Schema, error.to_string()))
}
