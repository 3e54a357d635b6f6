//! Deleting old rows of the inbox.

use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Inbox;
use crate::ErrorChain;
use crate::database::OutboxDatabase;
use crate::error::Error;
use crate::setters::setters;

/// How long a statement that is under way may take when a pruner is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

impl<DB: OutboxDatabase> Inbox<DB> {
    /// Deletes up to `batch` rows that are older than `older_than`, the oldest first, and returns how many.
    /// Runs one statement in its own transaction and waits for no lock. A consumer waits for it only if it
    /// receives one of these messages at the same time.
    ///
    /// A message without a row is processed again if it is delivered again: see [`InboxPrunerConfig::keep`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn prune(&self, older_than: Duration, batch: u32) -> Result<u64, Error> {
        let outbox = self.outbox();
        DB::prune(outbox.pool(), &outbox.statements().inbox, older_than, batch)
            .await
            .map_err(|error| Error::database("delete old rows of the inbox", error))
    }
}

/// Settings of an [`InboxPruner`].
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::inbox::InboxPrunerConfig;
///
/// let config = InboxPrunerConfig::new().keep(Duration::from_secs(30 * 86_400));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxPrunerConfig {
    /// Age at which rows are deleted. It must exceed the longest time after which a message can be delivered
    /// again: `retention.ms` plus `segment.ms` of the topics, because a consumer that lost its offsets reads
    /// the whole topic, and the longest outage of a producer. Default: 15 days, one day more than the sum of
    /// Kafka's defaults. Do not prune if you consume a compacted topic, whose records can return at any time.
    pub keep: Duration,
    /// Maximum number of rows per statement. Default: 1,000.
    pub batch: u32,
    /// Pause between two runs. Default: 1 minute.
    pub interval: Duration,
}

impl Default for InboxPrunerConfig {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(15 * 86_400),
            batch: 1_000,
            interval: Duration::from_secs(60),
        }
    }
}

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {fault}")]
pub struct InvalidPruner {
    name: &'static str,
    fault: &'static str,
}

setters! {
    InboxPrunerConfig {
        keep: Duration,
        batch: u32,
        interval: Duration,
    }
}

impl InboxPrunerConfig {
    fn check(&self) -> Result<(), InvalidPruner> {
        let wrong = |name, fault| Err(InvalidPruner { name, fault });
        if self.keep < Duration::from_secs(60) {
            return wrong(
                "keep",
                "is below a minute: redelivered messages would be processed again",
            );
        }
        if self.batch == 0 || self.batch > 100_000 {
            return wrong("batch", "must be from 1 to 100,000 rows");
        }
        if self.interval.is_zero() {
            return wrong("interval", "is 0: there would be no pause");
        }
        Ok(())
    }
}

/// Counters of a pruner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// Deleted rows.
    pub deleted: u64,
    /// Executed statements.
    pub batches: u64,
}

/// Periodically deletes old rows of the inbox in small batches. Any number may run on one database.
pub struct InboxPruner<DB: OutboxDatabase> {
    inbox: Inbox<DB>,
    config: InboxPrunerConfig,
}

impl<DB: OutboxDatabase> InboxPruner<DB> {
    /// Creates a pruner for this inbox.
    ///
    /// # Errors
    /// An invalid setting.
    pub fn new(inbox: &Inbox<DB>, config: InboxPrunerConfig) -> Result<Self, InvalidPruner> {
        config.check()?;
        Ok(Self {
            inbox: inbox.clone(),
            config,
        })
    }

    /// Deletes all old rows, batch by batch.
    ///
    /// Cancel safe: deleted rows stay deleted, all others stay in the database.
    ///
    /// # Errors
    /// The database's; what was deleted before stays deleted.
    pub async fn run_once(&self) -> Result<PruneReport, Error> {
        let mut report = PruneReport::default();
        self.round(&CancellationToken::new(), &mut report).await?;
        Ok(report)
    }

    /// Runs until `shutdown` is cancelled, and returns the totals. Outages of the database are retried. At
    /// shutdown, a running statement may take another second.
    pub async fn run(&self, shutdown: CancellationToken) -> PruneReport {
        let mut total = PruneReport::default();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.round(&shutdown, &mut total).await {
                tracing::warn!(
                    error = %ErrorChain::new(&error),
                    "cannot prune the inbox; retrying later"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.interval) => {}
                () = shutdown.cancelled() => {}
            }
        }
        total
    }

    /// Deletes batch by batch, until nothing is old enough or it is asked to stop, and counts each.
    async fn round(&self, shutdown: &CancellationToken, total: &mut PruneReport) -> Result<(), Error> {
        let out_of_time = async {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::pin!(out_of_time);
        loop {
            let deleted = tokio::select! {
                biased;
                deleted = self.inbox.prune(self.config.keep, self.config.batch) => deleted?,
                () = &mut out_of_time => return Ok(()),
            };
            total.deleted += deleted;
            total.batches += 1;
            if deleted < u64::from(self.config.batch) || shutdown.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Runs the pruner in its own task.
    pub fn spawn(self) -> RunningPruner {
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone();
        RunningPruner {
            shutdown,
            task: Mutex::new(Some(tokio::spawn(async move { self.run(stopped).await }))),
        }
    }
}

impl<DB: OutboxDatabase> fmt::Debug for InboxPruner<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxPruner")
            .field("config", &self.config)
            .finish()
    }
}

/// A running pruner. Dropping it requests a stop without waiting for it.
#[derive(Debug)]
pub struct RunningPruner {
    shutdown: CancellationToken,
    task: Mutex<Option<JoinHandle<PruneReport>>>,
}

impl RunningPruner {
    /// Stops the pruner. A running statement may take another second, then it is left to the database. May be
    /// called repeatedly and concurrently: the first call returns the report, the others return `None` after
    /// the pruner has ended.
    pub async fn stop(&self) -> Option<PruneReport> {
        self.shutdown.cancel();
        let mut task = self.task.lock().await;
        let report = task.as_mut()?.await;
        *task = None;
        match report {
            Ok(report) => Some(report),
            Err(panicked) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
            Err(_) => None,
        }
    }
}

impl Drop for RunningPruner {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_cannot_work_is_refused_by_name() {
        assert_eq!(InboxPrunerConfig::default().check(), Ok(()));
        let default = InboxPrunerConfig::default;
        let wrong = [
            ("keep", default().keep(Duration::ZERO)),
            ("batch", default().batch(0)),
            ("interval", default().interval(Duration::ZERO)),
        ];
        for (name, config) in wrong {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
