//! The builder of a relay.

use std::sync::Arc;

use crate::RelayWaker;
use crate::catalog::Catalog;
use crate::delivery_mode::DeliveryMode;
use crate::metrics::RelayMetrics;
use crate::publisher::Publisher;
use crate::record::WireOptions;
use crate::relay::claims::Claims;
use crate::relay::leadership::clock::BootClock;
use crate::relay::pipeline::delivery::Delivery;
use crate::relay::{Relay, RelayConfig, RelayError};
use crate::retention::RetentionHandle;
use crate::store::Store;

/// Builds a [`Relay`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RelayBuilder<S, P> {
    store: S,
    publisher: P,
    config: RelayConfig,
    waker: RelayWaker,
    strict_catalog: bool,
}

impl<S: Store, P: Publisher> RelayBuilder<S, P> {
    pub(super) fn new(store: S, publisher: P) -> Self {
        Self {
            store,
            publisher,
            config: RelayConfig::default(),
            waker: RelayWaker::new(),
            strict_catalog: false,
        }
    }

    /// Sets the configuration.
    pub fn config(mut self, config: RelayConfig) -> Self {
        self.config = config;
        self
    }

    /// Wakes the relay after commits of this process. Pass the waker of the service's
    /// [`Outbox`](crate::Outbox). Without a waker, the relay finds rows by polling.
    pub fn waker(mut self, waker: RelayWaker) -> Self {
        self.waker = waker;
        self
    }

    /// Whether warnings about the events of this program are errors: see [`Catalog::warnings`]. Default: false,
    /// which logs them.
    pub fn strict_catalog(mut self, strict: bool) -> Self {
        self.strict_catalog = strict;
        self
    }

    /// Checks the configuration and the events of this program. Does not connect.
    ///
    /// # Errors
    /// An invalid setting, or an error of [`Catalog::check`] or [`Catalog::check_strictly`].
    pub fn build(mut self) -> Result<Relay<S, P>, RelayError> {
        self.config.check()?;
        check_events(self.strict_catalog)?;
        let metrics = RelayMetrics::new(self.store.log_name());
        self.publisher.name_log(metrics.log());
        let transactions = self.publisher.transactions();
        if self.config.delivery == DeliveryMode::ExactlyOnce {
            if !self.store.has_generations() {
                return Err(RelayError::configuration(
                    "exactly-once delivery needs a PostgreSQL database: use at-least-once delivery, and let consumers recognize duplicates by their id, as the inbox does",
                ));
            }
            if transactions.is_none() {
                return Err(RelayError::configuration(
                    "exactly-once delivery needs a publisher with transactions, which this one lacks",
                ));
            }
        }
        let wire = WireOptions {
            default_source: self
                .config
                .source
                .clone()
                .unwrap_or_else(|| self.store.default_source()),
            time_and_subject: self.config.time_and_subject,
        };
        Ok(Relay {
            delivery: Delivery::new(self.publisher, wire, &self.config, metrics),
            retention: RetentionHandle::new(self.config.retention.clone()),
            store: Arc::new(self.store),
            config: self.config,
            waker: self.waker,
            clock: Arc::new(BootClock),
            transactions,
            detection: None,
            last_term: None,
            has_worked: false,
            claims: Claims::default(),
        })
    }
}

/// Checks the events of this program.
fn check_events(strict: bool) -> Result<(), RelayError> {
    let events = Catalog::global();
    if strict {
        return Ok(events.check_strictly()?);
    }
    events.check()?;
    for warning in events.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(())
}
