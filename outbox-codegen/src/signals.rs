//! SIGTERM and SIGINT (elsewhere than on Unix: Ctrl-C) ask for a graceful stop.

use std::convert::Infallible;
use std::future::pending;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Signals that are listened for from now on, so that none ends the process in the middle of its work.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen =
            |kind| signal(kind).map_err(|error| Failure::failed("cannot listen for signals").because(error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Cancels `shutdown` at the first signal; never ends by itself.
    pub(crate) async fn cancel(mut self, shutdown: &CancellationToken) -> Infallible {
        self.received().await;
        tracing::info!("stopping: waiting for messages in flight");
        shutdown.cancel();
        pending().await
    }

    #[cfg(unix)]
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn received(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            pending().await
        }
    }
}
