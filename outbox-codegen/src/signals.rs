//! SIGTERM and SIGINT (elsewhere than on Unix: Ctrl-C) ask for a graceful stop, SIGHUP to read the configuration again.

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

/// Wishes to read the configuration again; elsewhere than on Unix there are none.
pub(crate) struct Hangups {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangups {
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let hangup = signal(SignalKind::hangup())
            .map_err(|error| Failure::failed("cannot listen for signals").because(error))?;
        Ok(Self { hangup })
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        if self.hangup.recv().await.is_none() {
            pending().await
        }
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        pending().await
    }
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
