//! A consumer in a task of its own.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Consumer, ConsumerError, ConsumerProgress, ConsumerReport};
use crate::database::OutboxDatabase;
use crate::schema::SchemaDatabase;

/// A consumer that runs. Dropping it asks it to stop, without waiting.
#[derive(Debug)]
pub struct RunningConsumer {
    shutdown: CancellationToken,
    ended: CancellationToken,
    progress: ConsumerProgress,
    task: Mutex<Option<JoinHandle<Result<ConsumerReport, ConsumerError>>>>,
}

impl RunningConsumer {
    pub(super) fn start<DB: OutboxDatabase + SchemaDatabase>(consumer: Consumer<DB>) -> Self {
        let shutdown = CancellationToken::new();
        let progress = consumer.progress();
        let stopped = shutdown.clone();
        let ended = CancellationToken::new();
        // Told even if it panics.
        let end = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _end = end;
            consumer.run(stopped).await
        });
        Self {
            shutdown,
            ended,
            progress,
            task: Mutex::new(Some(task)),
        }
    }

    /// Counters of the consumer.
    pub fn progress(&self) -> &ConsumerProgress {
        &self.progress
    }

    /// Waits until the consumer has ended, be it by a stop or by itself, for a reason that no waiting cures; then
    /// [`stop`](Self::stop) tells that. Cancel safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Lets handlers that run come to their end, commits how far it is and leaves the group. Takes no longer than
    /// the configured [`shutdown_timeout`](super::ConsumerConfig::shutdown_timeout) and a few seconds. May be
    /// called from several places and again; the first to come gets the report, the others `None`, after the
    /// consumer has ended.
    ///
    /// # Errors
    /// What the consumer itself ended with.
    pub async fn stop(&self) -> Result<Option<ConsumerReport>, ConsumerError> {
        self.shutdown.cancel();
        let mut task = self.task.lock().await;
        let Some(running) = task.as_mut() else {
            return Ok(None);
        };
        let ended = running.await;
        *task = None;
        match ended {
            Ok(report) => report.map(Some),
            Err(panicked) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for RunningConsumer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
