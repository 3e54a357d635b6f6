//! A relay in a task of its own, such as one that is embedded in a service.

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::publisher::Publisher;
use crate::relay::{Relay, RelayError, RelayHealth, RelayProgress, RelayReport};
use crate::store::Store;

/// A relay that runs. Dropping it asks it to stop, without waiting.
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
        // Told even if it panics.
        let end = ended.clone().drop_guard();
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

    /// How the relay is: whether it works, has not come any further for long, or has ended.
    pub fn health(&self) -> RelayHealth {
        match self.ended.is_cancelled() {
            true => RelayHealth::Stopped,
            false => self.progress.health(),
        }
    }

    /// Waits until the relay has ended, be it by a stop or by itself, for a reason that no waiting cures; then
    /// [`stop`](Self::stop) tells that. Cancel safe. A service without a relay goes on writing events that
    /// nobody sends: better it says so, and ends.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Settles what was handed over, gives the lease back and ends. Takes no longer than the configured
    /// [`shutdown_timeout`](super::RelayConfig::shutdown_timeout) and a moment. May be called from several
    /// places and again; the first to come gets the report, the others `None`, after the relay has ended.
    ///
    /// # Errors
    /// What the relay itself ended with.
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

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
