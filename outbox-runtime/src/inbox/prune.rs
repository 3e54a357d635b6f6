//! Forgetting messages that nothing can bring back.

use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Inbox;
use crate::ErrorChain;
use crate::database::OutboxDatabase;
use crate::error::Error;

/// How long a statement that is under way may take when a pruner is told to stop.
const GRACE: Duration = Duration::from_secs(1);

impl<DB: OutboxDatabase> Inbox<DB> {
    /// Deletes at most `batch` rows of messages that were processed longer than `older_than` ago, the oldest
    /// first, and says how many. One statement in a transaction of its own, which waits for nobody; a consumer
    /// waits for it only if it gets one of exactly these messages in the same moment.
    ///
    /// A message whose row is gone acts again if it comes again: see [`InboxPrunerConfig::keep`].
    ///
    /// # Errors
    /// The database's.
    pub async fn prune(&self, older_than: Duration, batch: u32) -> Result<u64, Error> {
        let outbox = self.outbox();
        DB::prune(outbox.pool(), &outbox.statements().inbox, older_than, batch)
            .await
            .map_err(|error| Error::database("delete old rows of the inbox", error))
    }
}

/// How an [`InboxPruner`] works.
///
/// ```
/// use std::time::Duration;
/// use outbox_runtime::inbox::InboxPrunerConfig;
///
/// let config = InboxPrunerConfig { keep: Duration::from_secs(30 * 86_400), ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPrunerConfig {
    /// How long a processed message is remembered. It has to be longer than a message can take to come again:
    /// the topics' `retention.ms` and `segment.ms` together, as a consumer whose offsets are lost reads again
    /// what is there; and longer than the outage after which a producer may still send again. Default: 15 days,
    /// a day more than Kafka's defaults add up to. Records of a compacted topic come back at any time: what
    /// reads those needs all rows, and no pruner.
    pub keep: Duration,
    /// Rows of one statement. Default: 1,000.
    pub batch: u32,
    /// The pause between two rounds. Default: 1 minute.
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

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {fault}")]
pub struct InvalidPruner {
    name: &'static str,
    fault: &'static str,
}

impl InboxPrunerConfig {
    fn check(&self) -> Result<(), InvalidPruner> {
        let wrong = |name, fault| Err(InvalidPruner { name, fault });
        if self.keep < Duration::from_secs(60) {
            return wrong("keep", "is below a minute: every redelivery would act again");
        }
        if self.batch == 0 || self.batch > 100_000 {
            return wrong("batch", "has to be from 1 to 100,000 rows");
        }
        if self.interval.is_zero() {
            return wrong("interval", "is 0: there would be no pause");
        }
        Ok(())
    }
}

/// What a round of a pruner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// Rows that were deleted.
    pub deleted: u64,
    /// Statements that it took.
    pub batches: u64,
}

/// Deletes rows of the inbox that are old enough, in small batches, now and then. Any number may run on one
/// database.
pub struct InboxPruner<DB: OutboxDatabase> {
    inbox: Inbox<DB>,
    config: InboxPrunerConfig,
}

impl<DB: OutboxDatabase> InboxPruner<DB> {
    /// A pruner of this inbox.
    ///
    /// # Errors
    /// A setting that cannot work, by its name.
    pub fn new(inbox: &Inbox<DB>, config: InboxPrunerConfig) -> Result<Self, InvalidPruner> {
        config.check()?;
        Ok(Self {
            inbox: inbox.clone(),
            config,
        })
    }

    /// Deletes all that is old enough now, batch by batch.
    ///
    /// Cancellation: dropped at any moment, what was deleted is deleted, and the rest is there.
    ///
    /// # Errors
    /// The database's; what was deleted before stays deleted.
    pub async fn run_once(&self) -> Result<PruneReport, Error> {
        let mut report = PruneReport::default();
        self.round(&CancellationToken::new(), &mut report).await?;
        Ok(report)
    }

    /// Prunes until `shutdown` is cancelled, and says what was deleted in all. A database that is away is waited
    /// for. A statement that is under way when it is told to stop has a second to come to its end.
    pub async fn run(&self, shutdown: CancellationToken) -> PruneReport {
        let mut total = PruneReport::default();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.round(&shutdown, &mut total).await {
                tracing::warn!(
                    error = %ErrorChain::new(&error),
                    "the inbox could not be pruned, trying again later"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.interval) => {}
                () = shutdown.cancelled() => {}
            }
        }
        total
    }

    /// Deletes batch by batch, until nothing is old enough or it is told to stop, and counts each.
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

    /// Runs it in a task of its own.
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

/// A pruner that runs. Dropping it asks it to stop, without waiting.
#[derive(Debug)]
pub struct RunningPruner {
    shutdown: CancellationToken,
    task: Mutex<Option<JoinHandle<PruneReport>>>,
}

impl RunningPruner {
    /// Stops it: a statement that is under way has a second to come to its end, and is left to the database then.
    /// May be called again and from several places; the first to come gets the report, the others `None`, after it has
    /// ended.
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
            (
                "keep",
                InboxPrunerConfig {
                    keep: Duration::ZERO,
                    ..default()
                },
            ),
            (
                "batch",
                InboxPrunerConfig {
                    batch: 0,
                    ..default()
                },
            ),
            (
                "interval",
                InboxPrunerConfig {
                    interval: Duration::ZERO,
                    ..default()
                },
            ),
        ];
        for (name, config) in wrong {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
