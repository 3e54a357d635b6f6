//! A relay that is not the active one, and waits until it may be.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Leadership;
use super::clock::Clock;
use super::election::Watch;
use super::renewal::Renewing;
use crate::ErrorChain;
use crate::RelayWaker;
use crate::failpoint::{self, Failpoint};
use crate::metrics::RelayMetrics;
use crate::relay::backoff::Backoff;
use crate::relay::config::RelayConfig;
use crate::relay::error::RelayError;
use crate::relay::report::{RelayProgress, Server};
use crate::store::{Claim, Fence, Lease, LeaseRow, Store, StoreError};

/// A relay that wants to be the active one.
pub(in crate::relay) struct Candidate<'a, S: Store> {
    pub(in crate::relay) store: &'a Arc<S>,
    pub(in crate::relay) config: &'a RelayConfig,
    pub(in crate::relay) clock: &'a Arc<dyn Clock>,
    pub(in crate::relay) waker: &'a RelayWaker,
    pub(in crate::relay) progress: &'a RelayProgress,
    pub(in crate::relay) metrics: &'a RelayMetrics,
    /// Its last leader term, whose token nobody writes with any more.
    pub(in crate::relay) last_term: Option<LastTerm>,
    /// Whether rights and tables that are missing are waited for.
    pub(in crate::relay) waits_for_rights: bool,
}

/// This process's last leader term, which is over.
#[derive(Debug, Clone, Copy)]
pub(in crate::relay) struct LastTerm {
    pub(in crate::relay) fence: Fence,
    /// Whether it ended because the lease was lost.
    pub(in crate::relay) lost: bool,
}

/// What a standby keeps from one connection to the next.
struct Waiting {
    watch: Watch,
    backoff: Backoff,
    /// The term whose lease this process lost, until that is noted in the lease's row.
    lost: Option<Fence>,
}

impl<S: Store> Candidate<'_, S> {
    /// Waits until this relay may be the active one. Cancel safe: a lease that was taken just before is silent,
    /// and expires.
    pub(in crate::relay) async fn obtain(&self) -> Result<Leadership, RelayError> {
        let mut waiting = Waiting {
            watch: Watch::default(),
            backoff: Backoff::new(self.config),
            lost: self.last_term.filter(|last| last.lost).map(|last| last.fence),
        };
        loop {
            let error = match self.stand_by(&mut waiting).await {
                Ok(leadership) => return Ok(leadership),
                Err(error) => error,
            };
            let error = match RelayError::fatal(error, self.waits_for_rights) {
                Ok(fatal) => return Err(fatal),
                Err(error) => error,
            };
            let pause = waiting.backoff.next();
            self.progress
                .trouble_with(Server::Database, ErrorChain::new(&error));
            tracing::debug!(error = %ErrorChain::new(&error), ?pause, "the lease cannot be read");
            tokio::time::sleep(pause).await;
        }
    }

    /// One lease connection's worth of waiting.
    async fn stand_by(&self, waiting: &mut Waiting) -> Result<Leadership, StoreError> {
        let mut lease = self.store.open_lease().await?;
        if self.config.retention.is_on() {
            // Whether it may delete is found out before it is the active one.
            drop(self.store.open_pruning().await?);
        }
        if let Some(fence) = waiting.lost {
            lease.outlived(fence).await?;
            waiting.lost = None;
        }
        let own_token = self.last_term.map(|last| last.fence.token);
        // Often enough that a lease which was given back is taken within a second.
        let look_again = (self.config.lease_ttl / 6).min(Duration::from_millis(500));
        let mut reported = false;
        loop {
            let asked = self.clock.now();
            let row = lease.read().await?;
            waiting.backoff.reset();
            self.progress.well();
            if waiting.watch.may_take(&row, own_token, asked, self.clock.now()) {
                lease = match self.take(lease, &row).await? {
                    Ok(leadership) => return Ok(leadership),
                    Err(lease) => lease,
                };
            }
            if !reported {
                tracing::info!(
                    event = "standby",
                    epoch = row.epoch,
                    "another relay is active; standing by"
                );
                reported = true;
            }
            tokio::select! {
                () = tokio::time::sleep(look_again) => {}
                // This process committed something, and the active relay is elsewhere.
                () = self.waker.woken() => lease.wake_active().await?,
            }
        }
    }

    /// Takes the lease if its row is still the same; gives the connection back if it is not.
    async fn take(
        &self,
        mut lease: S::Lease,
        row: &LeaseRow,
    ) -> Result<Result<Leadership, S::Lease>, StoreError> {
        let claim = Claim {
            holder: self.config.holder.clone(),
            token: Uuid::new_v4(),
            ttl: self.config.lease_ttl,
        };
        let asked = self.clock.now();
        let Some(fence) = lease.take(row, &claim).await? else {
            return Ok(Err(lease));
        };
        failpoint::reach(Failpoint::LeaseTaken);
        let valid_until = asked + self.config.lease_ttl;
        let renewing = Renewing {
            store: self.store,
            config: self.config,
            clock: self.clock,
            metrics: self.metrics,
        };
        let renewal = renewing.start((lease, fence), valid_until);
        tracing::info!(
            event = "active",
            epoch = fence.epoch,
            "this relay is the active one"
        );
        Ok(Ok(Leadership {
            fence,
            clock: Arc::clone(self.clock),
            renewal,
        }))
    }
}
