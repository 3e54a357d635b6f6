//! Renewing the lease while it is held.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::Clock;
use crate::ErrorChain;
use crate::metrics::RelayMetrics;
use crate::relay::backoff::Backoff;
use crate::relay::config::RelayConfig;
use crate::store::{Fence, Lease, Store, StoreError};

/// How long a stop waits for each of two attempts to give the lease back. Only the next relay gains by it, which otherwise
/// waits until the lease expires.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The handle of the task that renews the lease.
pub(super) struct Renewal {
    deadline: watch::Receiver<Duration>,
    stop: oneshot::Sender<()>,
    renewer: JoinHandle<()>,
}

/// What it takes to renew a lease.
pub(super) struct Renewing<'a, S> {
    pub(super) store: &'a Arc<S>,
    pub(super) config: &'a RelayConfig,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) metrics: &'a RelayMetrics,
}

impl<S: Store> Renewing<'_, S> {
    /// Starts to renew a lease that was taken for `fence` and is valid until `valid_until`, by the clock.
    pub(super) fn start(self, (lease, fence): (S::Lease, Fence), valid_until: Duration) -> Renewal {
        let (deadline_tx, deadline) = watch::channel(valid_until);
        let (stop, stopped) = oneshot::channel();
        let renewer = LeaseRenewer {
            store: Arc::clone(self.store),
            fence,
            ttl: self.config.lease_ttl,
            clock: Arc::clone(self.clock),
            metrics: self.metrics.clone(),
            deadline: deadline_tx,
            backoff: Backoff::new(self.config),
        };
        let renewer = tokio::spawn(renewer.run(lease, stopped));
        Renewal {
            deadline,
            stop,
            renewer,
        }
    }
}

impl Renewal {
    /// Until when the lease is valid, if it is not renewed again.
    pub(super) fn valid_until(&self) -> Duration {
        *self.deadline.borrow()
    }

    /// The same, to wait for changes of it.
    pub(super) fn deadline(&self) -> watch::Receiver<Duration> {
        self.deadline.clone()
    }

    /// Ends the renewals, and gives the lease back unless it is lost.
    pub(super) async fn release(self) {
        // The renewer may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.renewer.await;
    }
}

/// Renews the lease until it is lost or given back.
struct LeaseRenewer<S> {
    store: Arc<S>,
    fence: Fence,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    metrics: RelayMetrics,
    deadline: watch::Sender<Duration>,
    backoff: Backoff,
}

impl<S: Store> LeaseRenewer<S> {
    async fn run(mut self, lease: S::Lease, mut stopped: oneshot::Receiver<()>) {
        let mut connected = Some(lease);
        let mut pause = self.ttl / 3;
        loop {
            tokio::select! {
                stopped = &mut stopped => {
                    if stopped.is_ok() {
                        self.release(connected).await;
                    }
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
            if self.clock.now() >= *self.deadline.borrow() {
                tracing::warn!(
                    epoch = self.fence.epoch,
                    "the lease ran out before it could be renewed"
                );
                return;
            }
            // The holder's time counts from before the renewal is sent.
            let asked = self.clock.now();
            let renewed = tokio::select! {
                biased;
                stopped = &mut stopped => {
                    if stopped.is_ok() {
                        // Its connection may still be waiting for the answer.
                        self.release(None).await;
                    }
                    return;
                }
                renewed = self.renew(connected.take()) => renewed,
            };
            match renewed {
                Ok((lease, true)) => {
                    self.deadline.send_replace(asked + self.ttl);
                    self.backoff.reset();
                    pause = self.ttl / 3;
                    connected = Some(lease);
                }
                Ok((_, false)) => {
                    tracing::warn!(epoch = self.fence.epoch, "another relay has taken the lease");
                    self.deadline.send_replace(Duration::ZERO);
                    return;
                }
                Err(error) => {
                    self.metrics.late_renewal();
                    pause = self.backoff.next().min(self.ttl / 6);
                    tracing::warn!(error = %ErrorChain::new(&error), "the lease could not be renewed; trying again");
                }
            }
        }
    }

    /// Gives the lease back, so that no standby has to wait. Its connection was idle since the last renewal, and may have
    /// broken since: then another one serves.
    async fn release(&self, connected: Option<S::Lease>) {
        let mut released = self.release_on(connected).await;
        if let Err(error) = &released {
            tracing::debug!(error = %ErrorChain::new(error), "the lease could not be released; trying again");
            released = self.release_on(None).await;
        }
        if let Err(error) = released {
            tracing::warn!(error = %ErrorChain::new(&error), "the lease could not be released; it will expire");
        }
    }

    async fn release_on(&self, connected: Option<S::Lease>) -> Result<(), StoreError> {
        let releasing = async {
            let mut lease = match connected {
                Some(lease) => lease,
                None => self.store.open_lease().await?,
            };
            lease.release(self.fence).await
        };
        let released = tokio::time::timeout(RELEASE_TIMEOUT.min(self.ttl / 2), releasing).await;
        released.unwrap_or_else(|_| Err(StoreError::timed_out("releasing the lease")))
    }

    async fn renew(&self, connected: Option<S::Lease>) -> Result<(S::Lease, bool), StoreError> {
        let renewing = async {
            let mut lease = match connected {
                Some(lease) => lease,
                None => self.store.open_lease().await?,
            };
            let renewed = lease.renew(self.fence).await?;
            Ok((lease, renewed))
        };
        match tokio::time::timeout(self.ttl / 2, renewing).await {
            Ok(renewed) => renewed,
            Err(_) => Err(StoreError::timed_out("renewing the lease")),
        }
    }
}
