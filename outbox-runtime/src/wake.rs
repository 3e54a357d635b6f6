//! How a committed transaction wakes the relay of its own process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the relay that runs in this process; wakes are coalesced.
///
/// Every [`Outbox`](crate::Outbox) has one; give it to the relay's builder and a commit is on its way to the
/// broker without waiting for the next poll. A wake that nobody waits for is remembered once.
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
