//! Watches a log from any process that can reach its database, whether a relay works or not.

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ErrorChain;
use crate::metrics::{DeadLetterSample, LogMetrics, LogNumbers};
use crate::store::{LogSample, SampledStore, Sampling, StoreError};

/// The interval if none is given: that of many a Prometheus.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// The least interval.
const AT_LEAST: Duration = Duration::from_millis(100);

/// A sample that takes long is followed by a pause so much longer: sampling takes no more than a hundredth of a core.
const RESTS: u32 = 99;

/// Periodically samples a log for its metrics: backlog, dead letters, lease and tables.
///
/// Run one in each process that embeds an [`Outbox`](crate::Outbox) or a relay, so that the numbers are right when every
/// relay is dead. On PostgreSQL one of them samples, and another takes its place when its connection ends; the others
/// show no value (`NaN`), which a maximum over all processes leaves out. On SQLite each of them samples.
///
/// The role has to read the tables of the outbox, and sees other roles' open transactions as a member of `pg_monitor`.
///
/// ```no_run
/// # async fn example(outbox: outbox_runtime::Outbox<sqlx::Postgres>) {
/// use std::time::Duration;
///
/// let sampler = outbox.log_sampler().interval(Duration::from_secs(30)).spawn();
/// // … until the service ends; dropping it ends it, too.
/// sampler.stop();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a sampler does nothing until it is run"]
pub struct LogSampler<S> {
    store: S,
    interval: Duration,
}

impl<S: SampledStore> LogSampler<S> {
    /// Creates a sampler of this log with an interval of 15 s.
    pub fn new(store: S) -> Self {
        Self {
            store,
            interval: DEFAULT_INTERVAL,
        }
    }

    /// Sampling interval, at least 100 ms. It is extended if a sample takes more than 1 % of it.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(AT_LEAST);
        self
    }

    /// Samples until `shutdown` is cancelled. Retries while the database is unavailable. Dropping the future also ends
    /// it.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut turns = Turns {
            metrics: LogMetrics::new(self.store.log_name()),
            store: self.store,
            sampling: None,
            is_failing: false,
        };
        let sampling = async {
            loop {
                let took = turns.turn().await;
                tokio::time::sleep(self.interval.max(took * RESTS)).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = sampling => never,
        }
    }

    /// Runs the sampler in its own task.
    pub fn spawn(self) -> RunningSampler {
        RunningSampler(tokio::spawn(self.run(CancellationToken::new())).abort_handle())
    }
}

/// A running sampler. Dropping it ends it.
#[derive(Debug)]
#[must_use = "dropping it ends the sampler"]
pub struct RunningSampler(AbortHandle);

impl RunningSampler {
    /// Stops the sampler without waiting for a sample in progress.
    pub fn stop(self) {}
}

impl Drop for RunningSampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Turns<S: SampledStore> {
    metrics: LogMetrics,
    store: S,
    /// The connection, if this process samples.
    sampling: Option<S::Sampling>,
    is_failing: bool,
}

impl<S: SampledStore> Turns<S> {
    /// Takes a sample if that is for this process to do. Returns how long it took.
    async fn turn(&mut self) -> Duration {
        let begun = Instant::now();
        match self.sample().await {
            Ok(Some(sample)) => {
                let took = begun.elapsed();
                self.metrics.sampled(&numbers(sample), took.as_secs_f64());
                self.works();
                took
            }
            Ok(None) => {
                self.metrics.stand_by();
                self.works();
                Duration::ZERO
            }
            Err(error) => {
                self.metrics.failed();
                self.fails(&error);
                Duration::ZERO
            }
        }
    }

    /// None if another process samples. Whoever waits keeps no connection.
    async fn sample(&mut self) -> Result<Option<LogSample>, StoreError> {
        let mut sampling = match self.sampling.take() {
            Some(sampling) => sampling,
            None => {
                let mut sampling = self.store.open_sampling().await?;
                if !sampling.is_the_only_one().await? {
                    return Ok(None);
                }
                sampling
            }
        };
        let sample = sampling.sample().await?;
        self.sampling = Some(sampling);
        Ok(Some(sample))
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the log is sampled again");
        }
    }

    /// Said once, not at each interval.
    fn fails(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(error = %ErrorChain::new(error), "the log cannot be sampled; trying again");
        }
    }
}

fn numbers(sample: LogSample) -> LogNumbers {
    let dead_letters = sample.dead_letters.into_iter().map(|count| DeadLetterSample {
        topic: count.topic,
        state: count.state,
        reason: count.reason,
        records: count.records,
    });
    LogNumbers {
        backlog_records: sample.backlog.messages,
        backlog_oldest_age_seconds: sample.backlog.oldest_age.unwrap_or_default().as_secs_f64(),
        lease_held: sample.lease_held,
        lease_epoch: sample.lease_epoch,
        dead_letters: dead_letters.collect(),
        table_bytes: sample.table_bytes,
        dead_tuples: sample.dead_tuples,
        partitions_ahead: sample.partitions_ahead,
        oldest_transaction_seconds: sample.oldest_transaction.map(|age| age.as_secs_f64()),
    }
}
