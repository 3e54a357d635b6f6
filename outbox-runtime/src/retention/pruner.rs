//! Deletes in rounds what retention no longer keeps.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::policy::{Age, InvalidRetention, Retention};
use super::position::{Position, weigh};
use super::pruned::Pruned;
use crate::ErrorChain;
use crate::store::{FullPartition, PartitionEnd, Piece, Pruning, Store, StoreError, StoredAs};

/// Deletes delivered messages and old dead letters of a log. Any number of pruners may run on one log, at the
/// same time as relays and writers.
///
/// ```no_run
/// # async fn prune(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// use outbox_runtime::PostgresStore;
/// use outbox_runtime::retention::{Keep, Pruner, Retention};
///
/// let retention = Retention::off().keep(Keep::UntilAcknowledged);
/// let pruned = Pruner::new(PostgresStore::new(&pool), retention)?.run_once().await?;
/// println!("deleted {} messages", pruned.messages);
/// # Ok(())
/// # }
/// ```
pub struct Pruner<S> {
    store: Arc<S>,
    retention: Retention,
    report: Box<dyn Fn(Pruned) + Send + Sync>,
}

impl<S> fmt::Debug for Pruner<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pruner")
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Pruner<S> {
    /// Creates a pruner of this log. Does not connect.
    ///
    /// # Errors
    /// An invalid setting.
    pub fn new(store: S, retention: Retention) -> Result<Self, InvalidRetention> {
        retention.check()?;
        Ok(Self::checked(Arc::new(store), retention, |_| {}))
    }

    /// `report` is called after each deletion.
    pub(crate) fn checked(
        store: Arc<S>,
        retention: Retention,
        report: impl Fn(Pruned) + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            retention,
            report: Box::new(report),
        }
    }

    /// Deletes everything that is no longer kept, in small transactions with pauses between them.
    ///
    /// Cancel safe: deleted rows stay deleted, all others stay in the database.
    ///
    /// # Errors
    /// An error of the database, or a missing right. Rows that were deleted before stay deleted.
    pub async fn run_once(&self) -> Result<Pruned, StoreError> {
        self.once(false).await
    }

    /// Returns what [`run_once`](Self::run_once) would delete, without deleting it.
    ///
    /// # Errors
    /// As [`run_once`](Self::run_once).
    pub async fn dry_run(&self) -> Result<Pruned, StoreError> {
        self.once(true).await
    }

    async fn once(&self, dry_run: bool) -> Result<Pruned, StoreError> {
        let mut at = Position::new(&self.retention);
        at.dry_run = dry_run;
        at.everywhere = true;
        let mut total = Pruned::default();
        let mut pruning = self.store.open_pruning().await?;
        self.round(&mut *pruning, &mut at, &mut total).await?;
        Ok(total)
    }

    /// Deletes what is no longer kept, in rounds, until `shutdown` is cancelled. Returns the totals. Errors are logged
    /// and retried later on a new connection.
    ///
    /// Cancellation: as [`run_once`](Self::run_once).
    pub async fn run(&self, shutdown: CancellationToken) -> Pruned {
        let mut at = Position::new(&self.retention);
        let mut total = Pruned::default();
        let mut pruning = None;
        loop {
            let before = total;
            let round = self.round_on(&mut pruning, &mut at, &mut total);
            let ended = tokio::select! {
                biased;
                () = shutdown.cancelled() => return total,
                ended = round => ended,
            };
            if let Err(error) = ended {
                pruning = None;
                tracing::warn!(error = %ErrorChain::new(&error), "cannot delete delivered messages; retrying later");
            }
            log(&before, &total);
            if at.has_more && pruning.is_some() {
                continue;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return total,
                () = tokio::time::sleep(self.retention.interval) => {}
            }
        }
    }

    /// A round on the connection, or on a new one if there is none.
    async fn round_on(
        &self,
        pruning: &mut Option<Box<dyn Pruning>>,
        at: &mut Position,
        total: &mut Pruned,
    ) -> Result<(), StoreError> {
        let pruning = match pruning {
            Some(pruning) => pruning,
            None => pruning.insert(self.store.open_pruning().await?),
        };
        self.round(&mut **pruning, at, total).await
    }

    /// Deletes all that may go now.
    async fn round(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
    ) -> Result<(), StoreError> {
        at.begin_round();
        match pruning.layout().await? {
            StoredAs::Table => self.table(pruning, at, total).await?,
            StoredAs::Partitions { full, bytes } => {
                self.partitions(pruning, at, total, (full, bytes)).await?;
            }
        }
        self.dead_letters(pruning, at, total).await?;
        if !at.dry_run {
            pruning.give_space_back().await?;
        }
        Ok(())
    }

    fn count(&self, total: &mut Pruned, pruned: Pruned) {
        total.add(pruned);
        (self.report)(pruned);
    }

    async fn table(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
    ) -> Result<(), StoreError> {
        if self.retention.max_bytes.is_some() {
            weigh(pruning, at).await?;
        }
        if let Some(age) = self.retention.age() {
            if at.sweep_is_due() {
                at.marks.begin_sweep();
            }
            self.old_messages(pruning, at, total, age).await?;
        }
        match self.retention.max_bytes {
            Some(limit) => self.too_many_messages(pruning, at, total, limit).await,
            None => Ok(()),
        }
    }

    /// Deletes messages of this age, wherever the marks say.
    async fn old_messages(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
        Age(older_than): Age,
    ) -> Result<(), StoreError> {
        let mut looked_at = 0;
        loop {
            let began = Instant::now();
            let piece = Piece {
                after: if at.everywhere {
                    looked_at
                } else {
                    at.marks.after()
                },
                rows: at.pace.rows(),
                older_than,
                weighed: self.retention.max_bytes.is_some(),
                dry_run: at.dry_run,
            };
            let pruned = pruning.prune(piece).await?;
            at.shrink(&pruned);
            let messages = pruned.deleted;
            self.count(
                total,
                Pruned {
                    messages,
                    ..Pruned::default()
                },
            );
            let goes_on = match at.everywhere {
                true => pruned.last_looked_at.is_some(),
                false => at.marks.note(&pruned),
            };
            if !goes_on || at.round_is_over() {
                return Ok(());
            }
            at.old_to = at.old_to.max(pruned.last_deleted.unwrap_or(0));
            looked_at = pruned.last_looked_at.unwrap_or(looked_at);
            at.rest(began).await;
        }
    }

    /// Deletes the oldest messages until the rest is small enough.
    async fn too_many_messages(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
        limit: u64,
    ) -> Result<(), StoreError> {
        let mut after = match (at.dry_run, at.everywhere) {
            // What is old would be gone.
            (true, _) => at.old_to,
            (false, true) => 0,
            (false, false) => at.marks.after(),
        };
        while at.bytes > limit && !at.round_is_over() {
            let began = Instant::now();
            let piece = Piece {
                after,
                rows: at.pace.rows(),
                older_than: Age::ANY.0,
                weighed: true,
                dry_run: at.dry_run,
            };
            let pruned = pruning.prune(piece).await?;
            at.shrink(&pruned);
            let messages = pruned.deleted;
            self.count(
                total,
                Pruned {
                    messages,
                    ..Pruned::default()
                },
            );
            if !at.dry_run {
                at.marks.note(&pruned);
            }
            match pruned.last_looked_at {
                Some(last) => after = last,
                None => break,
            }
            at.rest(began).await;
        }
        Ok(())
    }

    async fn partitions(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
        (full, mut bytes): (Vec<FullPartition>, u64),
    ) -> Result<(), StoreError> {
        let mut empty = Vec::new();
        for partition in full {
            let too_large = self.retention.max_bytes.is_some_and(|limit| bytes > limit);
            let Some(Age(older_than)) = (if too_large {
                Some(Age::ANY)
            } else {
                self.retention.age()
            }) else {
                break;
            };
            let began = Instant::now();
            let end = pruning
                .prune_partition(&partition, older_than, at.dry_run)
                .await?;
            let mut pruned = Pruned::default();
            match end {
                PartitionEnd::Kept => {}
                PartitionEnd::Busy => pruned.partitions_busy = 1,
                PartitionEnd::Empty | PartitionEnd::Emptied { .. } => {
                    bytes = bytes.saturating_sub(partition.bytes)
                }
            }
            if let PartitionEnd::Emptied { messages } = end {
                (pruned.messages, pruned.partitions_emptied) = (messages, 1);
            }
            self.count(total, pruned);
            if matches!(end, PartitionEnd::Empty | PartitionEnd::Emptied { .. }) {
                empty.push(partition);
            }
            at.rest(began).await;
        }
        self.drop_partitions(pruning, at, total, &empty).await
    }

    /// Drops empty partitions, until one is in use: the next round tries again.
    async fn drop_partitions(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
        empty: &[FullPartition],
    ) -> Result<(), StoreError> {
        for partition in empty {
            let began = Instant::now();
            let dropped = at.dry_run || pruning.drop_partition(partition).await?;
            let pruned = Pruned {
                partitions_dropped: u64::from(dropped),
                partitions_busy: u64::from(!dropped),
                ..Pruned::default()
            };
            self.count(total, pruned);
            if !dropped {
                break;
            }
            at.rest(began).await;
        }
        Ok(())
    }

    async fn dead_letters(
        &self,
        pruning: &mut dyn Pruning,
        at: &mut Position,
        total: &mut Pruned,
    ) -> Result<(), StoreError> {
        let Some(age) = self.retention.dead_letters else {
            return Ok(());
        };
        loop {
            let began = Instant::now();
            // A dry run counts them all at once, because it leaves them where they are.
            let rows = if at.dry_run {
                u32::MAX
            } else {
                self.retention.batch
            };
            let dead_letters = pruning.prune_dead_letters(age, rows, at.dry_run).await?;
            self.count(
                total,
                Pruned {
                    dead_letters,
                    ..Pruned::default()
                },
            );
            if dead_letters > 0 && !at.dry_run {
                tracing::warn!(
                    dead_letters,
                    ?age,
                    "deleted dead letters that were older than the limit; they are not delivered"
                );
            }
            if dead_letters < u64::from(rows) {
                return Ok(());
            }
            at.rest(began).await;
        }
    }
}

fn log(before: &Pruned, total: &Pruned) {
    let (messages, partitions) = (
        total.messages - before.messages,
        total.partitions_dropped - before.partitions_dropped,
    );
    if messages > 0 || partitions > 0 {
        tracing::info!(messages, partitions, "deleted delivered messages");
    }
}
