//! Changing what a running relay deletes.

use tokio::sync::watch;

use super::{InvalidRetention, Retention};

/// Changes the retention of a relay, running or not: [`Relay::retention`](crate::Relay::retention).
#[derive(Debug, Clone)]
pub struct RetentionHandle {
    policy: watch::Sender<Retention>,
}

impl RetentionHandle {
    pub(crate) fn new(policy: Retention) -> Self {
        Self {
            policy: watch::Sender::new(policy),
        }
    }

    /// Sets the retention. The active relay ends its pruning round and begins a new one.
    ///
    /// # Errors
    /// An invalid setting; nothing is changed then.
    pub fn set(&self, retention: Retention) -> Result<(), InvalidRetention> {
        retention.check()?;
        self.policy.send_replace(retention);
        Ok(())
    }

    /// The current retention.
    pub fn get(&self) -> Retention {
        self.policy.borrow().clone()
    }

    /// Follows what is set.
    pub(crate) fn follow(&self) -> watch::Receiver<Retention> {
        self.policy.subscribe()
    }
}
