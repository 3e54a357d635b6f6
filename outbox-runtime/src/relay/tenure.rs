//! Getting the lease, keeping it, and giving it back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::backoff::Backoff;
use super::clock::Clock;
use super::election::Watch;
use super::error::RelayError;
use super::{RelayConfig, RelayProgress};
use crate::ErrorChain;
use crate::RelayWaker;
use crate::failpoint::{self, Place};
use crate::store::{Claim, Fence, Lease, Store, StoreError};

/// The time in which this relay is the active one.
pub(super) struct Tenure<S: Store> {
    fence: Fence,
    clock: Arc<dyn Clock>,
    deadline: watch::Receiver<Duration>,
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<Option<S::Lease>>,
}

/// Waits until this relay may be the active one. Cancel safe: a lease that was taken in the last moment is
/// silent, and expires. `waits` for rights that are missing, too.
pub(super) async fn obtain<S: Store>(
    store: &Arc<S>,
    config: &RelayConfig,
    clock: &Arc<dyn Clock>,
    waker: &RelayWaker,
    mine: Option<Uuid>,
    lost: Option<Fence>,
    progress: &RelayProgress,
    waits: bool,
) -> Result<Tenure<S>, RelayError> {
    let mut waiting = Waiting {
        watch: Watch::default(),
        backoff: Backoff::new(config),
        progress,
        lost,
    };
    loop {
        match stand_by(store, config, clock, waker, mine, &mut waiting).await {
            Ok(tenure) => return Ok(tenure),
            Err(error) => {
                let error = match RelayError::fatal(error, waits) {
                    Ok(fatal) => return Err(fatal),
                    Err(error) => error,
                };
                let pause = waiting.backoff.next();
                progress.trouble_with(ErrorChain::new(&error));
                tracing::warn!(error = %ErrorChain::new(&error), ?pause, "the lease cannot be read; waiting for the database");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// What a standby keeps from one connection to the next.
struct Waiting<'a> {
    watch: Watch,
    backoff: Backoff,
    progress: &'a RelayProgress,
    /// The term whose lease this process lost, as long as that is not noted.
    lost: Option<Fence>,
}

/// One lease connection's worth of waiting.
async fn stand_by<S: Store>(
    store: &Arc<S>,
    config: &RelayConfig,
    clock: &Arc<dyn Clock>,
    waker: &RelayWaker,
    mine: Option<Uuid>,
    waiting: &mut Waiting<'_>,
) -> Result<Tenure<S>, StoreError> {
    let mut lease = store.open_lease().await?;
    if let Some(fence) = waiting.lost {
        lease.outlived(fence).await?;
        waiting.lost = None;
    }
    // Often enough that a lease which was given back is taken within a second.
    let look_again = (config.lease_ttl / 6).min(Duration::from_millis(500));
    let mut told = false;
    loop {
        let asked = clock.now();
        let row = lease.read().await?;
        waiting.backoff.reset();
        waiting.progress.well();
        if waiting.watch.may_take(&row, mine, asked, clock.now()) {
            let claim = Claim {
                holder: config.holder.clone(),
                token: Uuid::new_v4(),
                ttl: config.lease_ttl,
            };
            let asked = clock.now();
            if let Some(fence) = lease.take(&row, &claim).await? {
                failpoint::reach(Place::LeaseTaken);
                return Ok(Tenure::begin(
                    store,
                    lease,
                    fence,
                    asked + config.lease_ttl,
                    config,
                    clock,
                ));
            }
        }
        if !told {
            tracing::info!(epoch = row.epoch, "another relay is active; standing by");
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(look_again) => {}
            // This process committed something, and the active relay is elsewhere.
            () = waker.woken() => lease.wake_active().await?,
        }
    }
}

impl<S: Store> Tenure<S> {
    fn begin(
        store: &Arc<S>,
        lease: S::Lease,
        fence: Fence,
        until: Duration,
        config: &RelayConfig,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (deadline_tx, deadline) = watch::channel(until);
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper {
            store: Arc::clone(store),
            fence,
            ttl: config.lease_ttl,
            clock: Arc::clone(clock),
            deadline: deadline_tx,
            backoff: Backoff::new(config),
        };
        let keeper = tokio::spawn(keeper.keep(lease, stopped));
        tracing::info!(epoch = fence.epoch, "this relay is the active one");
        Self {
            fence,
            clock: Arc::clone(clock),
            deadline,
            stop,
            keeper,
        }
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    /// Whether the lease no longer protects what this relay does.
    pub(super) fn is_over(&self) -> bool {
        self.clock.now() >= *self.deadline.borrow()
    }

    /// Waits until [`is_over`](Self::is_over). Cancel safe.
    pub(super) async fn over(&self) {
        let mut deadline = self.deadline.clone();
        loop {
            let left = deadline.borrow_and_update().saturating_sub(self.clock.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                changed = deadline.changed() => {
                    if changed.is_err() {
                        // The keeper has ended: no renewal will come.
                        tokio::time::sleep(left).await;
                    }
                }
            }
        }
    }

    /// Gives the lease back, if it still is this relay's, so that no standby has to wait.
    pub(super) async fn release(self) {
        let Self {
            fence, stop, keeper, ..
        } = self;
        failpoint::reach(Place::LeaseReleased);
        // The keeper may have ended by itself.
        let _ = stop.send(());
        if let Ok(Some(mut lease)) = keeper.await
            && let Err(error) = lease.release(fence).await
        {
            tracing::warn!(error = %ErrorChain::new(&error), "the lease could not be given back; it expires");
        }
    }
}

/// Renews the lease until it is lost or given back.
struct Keeper<S> {
    store: Arc<S>,
    fence: Fence,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    deadline: watch::Sender<Duration>,
    backoff: Backoff,
}

impl<S: Store> Keeper<S> {
    /// Returns the connection, so that the lease can be given back on it, unless the lease is lost.
    async fn keep(mut self, lease: S::Lease, mut stopped: oneshot::Receiver<()>) -> Option<S::Lease> {
        let mut connected = Some(lease);
        let mut pause = self.ttl / 3;
        loop {
            tokio::select! {
                _ = &mut stopped => return self.connected(connected).await,
                () = tokio::time::sleep(pause) => {}
            }
            if self.clock.now() >= *self.deadline.borrow() {
                tracing::warn!(
                    epoch = self.fence.epoch,
                    "the lease ran out before it could be renewed"
                );
                return None;
            }
            // The holder's time counts from before the renewal is sent.
            let asked = self.clock.now();
            match self.renew(connected.take()).await {
                Ok((lease, true)) => {
                    self.deadline.send_replace(asked + self.ttl);
                    self.backoff.reset();
                    pause = self.ttl / 3;
                    connected = Some(lease);
                }
                Ok((_, false)) => {
                    tracing::warn!(epoch = self.fence.epoch, "another relay has taken the lease");
                    self.deadline.send_replace(Duration::ZERO);
                    return None;
                }
                Err(error) => {
                    pause = self.backoff.next().min(self.ttl / 6);
                    tracing::warn!(error = %ErrorChain::new(&error), "the lease could not be renewed; trying again");
                }
            }
        }
    }

    /// A connection to give the lease back on, also if the last one broke a moment ago.
    async fn connected(&self, connected: Option<S::Lease>) -> Option<S::Lease> {
        match connected {
            Some(lease) => Some(lease),
            None => tokio::time::timeout(self.ttl / 2, self.store.open_lease())
                .await
                .ok()?
                .ok(),
        }
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
