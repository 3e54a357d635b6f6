//! How a committed transaction wakes the relay of its own process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the relay that runs in this process; wakes are coalesced.
///
/// Every [`Outbox`](crate::Outbox) has one. Pass it to the relay's builder, so that the relay sends events
/// right after a commit instead of at the next poll. One wake is stored if no relay waits for it.
#[derive(Debug, Clone, Default)]
pub struct RelayWaker {
    notify: Arc<Notify>,
}

impl RelayWaker {
    /// Creates a waker that is not connected to an outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the relay. Call it after the commit, never before.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// Waits for the next [`wake`](Self::wake). Cancel safe: a wake is not lost when the future is dropped.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}
