//! Puts a relay together.

use std::sync::Arc;

use crate::RelayWaker;
use crate::catalog::Catalog;
use crate::publisher::Publisher;
use crate::record::WireOptions;
use crate::relay::leadership::clock::BootClock;
use crate::relay::pipeline::delivery::Delivery;
use crate::relay::{DeliveryMode, Relay, RelayConfig, RelayError};
use crate::store::Store;

/// Collects what a [`Relay`] needs.
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

    /// Uses these limits and intervals.
    pub fn config(mut self, config: RelayConfig) -> Self {
        self.config = config;
        self
    }

    /// Lets commits of this process wake the relay: give it the waker of the service's
    /// [`Outbox`](crate::Outbox). Without one, rows are found by polling.
    pub fn waker(mut self, waker: RelayWaker) -> Self {
        self.waker = waker;
        self
    }

    /// Whether to fail for what is else logged as a warning about the events of this program, such as two aggregates in
    /// one topic: see [`Catalog::warnings`]. By default not.
    pub fn strict_catalog(mut self, strict: bool) -> Self {
        self.strict_catalog = strict;
        self
    }

    /// Checks the configuration, and the events of this program. Does not connect.
    ///
    /// # Errors
    /// A setting that cannot work, by name; or what [`Catalog::check`] finds, or [`Catalog::check_strictly`].
    pub fn build(self) -> Result<Relay<S, P>, RelayError> {
        self.config.check()?;
        check_events(self.strict_catalog)?;
        let transactions = self.publisher.transactions();
        if self.config.delivery == DeliveryMode::ExactlyOnce {
            if !self.store.has_generations() {
                return Err(RelayError::configuration(
                    "exactly-once delivery takes a PostgreSQL database: from this one, deliver at least once, and let \
                     consumers recognise an event that they have seen by its id, as the inbox does",
                ));
            }
            if transactions.is_none() {
                return Err(RelayError::configuration(
                    "exactly-once delivery takes a publisher with transactions, and this one has none",
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
            delivery: Delivery::new(self.publisher, wire, &self.config),
            store: Arc::new(self.store),
            config: self.config,
            waker: self.waker,
            clock: Arc::new(BootClock),
            transactions,
            detection: None,
            last_token: None,
            has_worked: false,
        })
    }
}

/// Looks at the events of this program.
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
