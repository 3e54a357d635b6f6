//! A relay in its own task, for instance embedded in a service.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::publisher::Publisher;
use crate::relay::{Relay, RelayError, RelayHealth, RelayProgress, RelayReport};
use crate::store::Store;

/// A running relay. Dropping it requests a stop without waiting for it.
#[derive(Debug)]
pub struct RunningRelay {
    shutdown: CancellationToken,
    ended: CancellationToken,
    progress: RelayProgress,
    task: Mutex<Option<JoinHandle<Result<RelayReport, RelayError>>>>,
}

impl RunningRelay {
    pub(super) fn start<S: Store, P: Publisher>(mut relay: Relay<S, P>) -> Self {
        let shutdown = CancellationToken::new();
        let progress = relay.progress();
        let stopped = shutdown.clone();
        let ended = CancellationToken::new();
        // Reported even if it panics.
        let end = End {
            progress: progress.clone(),
            _ended: ended.clone().drop_guard(),
        };
        let task = tokio::spawn(async move {
            let _end = end;
            relay.run(stopped).await
        });
        Self {
            shutdown,
            ended,
            progress,
            task: Mutex::new(Some(task)),
        }
    }

    /// Counters of the relay.
    pub fn progress(&self) -> &RelayProgress {
        &self.progress
    }

    /// Health of the relay.
    pub fn health(&self) -> RelayHealth {
        match self.ended.is_cancelled() {
            true => RelayHealth::Stopped,
            false => self.progress.health(),
        }
    }

    /// Waits until the relay has ended, after a stop or because of a permanent error, which
    /// [`stop`](Self::stop) returns. Cancel safe. A service that continues without a relay writes events that
    /// are not delivered, so it should report the error and exit.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for records in flight, releases the lease and ends. Takes at most the configured
    /// [`shutdown_timeout`](super::RelayConfig::shutdown_timeout) plus a grace period. May be called repeatedly and
    /// concurrently: the first call returns the report, the others return `None` after the relay has ended.
    ///
    /// # Errors
    /// The error that ended the relay.
    pub async fn stop(&self) -> Result<Option<RelayReport>, RelayError> {
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

/// Reports that a relay has ended.
struct End {
    progress: RelayProgress,
    _ended: DropGuard,
}

impl Drop for End {
    fn drop(&mut self) {
        self.progress.end();
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
