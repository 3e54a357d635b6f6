//! What the active relay does beside its work, each in a task of its own.

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::ErrorChain;
use crate::publisher::Publisher;
use crate::relay::backoff::Backoff;
use crate::relay::{Relay, outage};
use crate::retention::{Pruned, Pruner};
use crate::store::Store;

/// How often the active relay looks whether writers need room.
const ROOM_EVERY: Duration = Duration::from_secs(10);

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Logs outages, with their beginning and end.
    pub(super) fn log_outages(&self) -> AbortOnDrop {
        let (store, troubles) = (
            self.store.clone(),
            self.delivery.telemetry().progress().troubles(),
        );
        let task = tokio::spawn(async move { outage::log(store.as_ref(), troubles).await });
        AbortOnDrop(task.abort_handle())
    }

    /// Sees to it that writers find room, while this relay is the active one. It does not wait for that: what is
    /// there lasts for long.
    pub(in crate::relay) fn make_room(&self) -> AbortOnDrop {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(ROOM_EVERY);
            loop {
                ticks.tick().await;
                match store.make_room().await {
                    Ok(0) => {}
                    Ok(made) => tracing::info!(
                        event = "partitions_created",
                        made,
                        "created partitions for future messages"
                    ),
                    Err(error) => tracing::error!(
                        event = "partitions_failed",
                        error = %ErrorChain::new(&error),
                        "cannot create partitions for future messages; writers will fail when none are left"
                    ),
                }
            }
        });
        AbortOnDrop(task.abort_handle())
    }

    /// Deletes what retention lets go, while this relay is the active one.
    pub(in crate::relay) fn prune(&self) -> AbortOnDrop {
        let (store, mut policy) = (self.store.clone(), self.retention.follow());
        let progress = self.delivery.telemetry().progress().clone();
        let task = tokio::spawn(async move {
            loop {
                let retention = policy.borrow_and_update().clone();
                let is_on = retention.is_on();
                let progress = progress.clone();
                let report = move |pruned: Pruned| progress.add_pruned(pruned.messages);
                let pruner = Pruner::checked(store.clone(), retention, report);
                tokio::select! {
                    changed = policy.changed() => if changed.is_err() { return },
                    _ = pruner.run(CancellationToken::new()), if is_on => {}
                }
            }
        });
        AbortOnDrop(task.abort_handle())
    }

    /// Passes wake-ups of other processes on while this relay is the active one.
    pub(in crate::relay) fn forward_wakes(&self) -> AbortOnDrop {
        let (store, waker) = (self.store.clone(), self.waker.clone());
        let mut backoff = Backoff::new(&self.config);
        let task = tokio::spawn(async move {
            loop {
                let error = store.forward_wakes(&waker).await;
                tracing::debug!(error = %ErrorChain::new(&error), "no wake-ups from other processes for a while");
                tokio::time::sleep(backoff.next()).await;
            }
        });
        AbortOnDrop(task.abort_handle())
    }
}

pub(in crate::relay) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
