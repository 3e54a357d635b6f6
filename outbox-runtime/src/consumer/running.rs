//! A consumer in a task of its own.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Consumer, ConsumerError, ConsumerProgress, ConsumerReport};
use crate::database::OutboxDatabase;
use crate::schema::SchemaDatabase;

/// A running consumer. Dropping it requests a stop without waiting for it.
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
        // Reported even if it panics.
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

    /// Waits until the consumer has ended, after a stop or because of a permanent error, which
    /// [`stop`](Self::stop) returns. Cancel safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for running handlers, commits the offsets and leaves the group. Takes at most the configured
    /// [`shutdown_timeout`](super::ConsumerConfig::shutdown_timeout) plus a few seconds. May be called
    /// repeatedly and concurrently: the first call returns the report, the others return `None` after the
    /// consumer has ended.
    ///
    /// # Errors
    /// The error that ended the consumer.
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
