//! What follows a failure of the database or the broker.

use super::{AfterFailure, TermEnd};
use crate::ErrorChain;
use crate::metrics::{DuplicateReason, RelayRetry};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::relay::Relay;
use crate::relay::error::RelayError;
use crate::relay::goal::Goal;
use crate::relay::report::Server;
use crate::store::{Store, StoreError, StoreErrorKind};

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Whether rights and tables that are missing are waited for: by a relay that has worked with them, and is not there to
    /// come to an end.
    pub(in crate::relay) fn waits(&self, goal: Goal) -> bool {
        self.has_worked && goal == Goal::Stop
    }

    pub(in crate::relay) fn after_store_error(&mut self, error: StoreError, goal: Goal) -> AfterFailure {
        if error.kind() == StoreErrorKind::Fenced {
            return AfterFailure::End(TermEnd::LeaseLost);
        }
        match RelayError::fatal(error, self.waits(goal)) {
            Ok(fatal) => AfterFailure::End(TermEnd::Failed(fatal)),
            Err(error) => {
                tracing::debug!(error = %ErrorChain::new(&error), "the database failed");
                let telemetry = self.delivery.telemetry();
                telemetry.trouble(Server::Database, ErrorChain::new(&error));
                telemetry.retry(RelayRetry::Database);
                AfterFailure::Retry
            }
        }
    }

    /// What became of the transaction is found out by the next session: none of it stays uncertain for long.
    pub(in crate::relay) fn after_transaction_error(&mut self, error: PublishError) -> AfterFailure {
        if error.kind() == PublishErrorKind::Configuration {
            return AfterFailure::End(TermEnd::Failed(error.into()));
        }
        tracing::debug!(error = %ErrorChain::new(&error), "Kafka failed");
        let telemetry = self.delivery.telemetry_mut();
        telemetry.trouble(Server::Kafka, ErrorChain::new(&error));
        telemetry.producer_failed(error.kind());
        telemetry.retry(RelayRetry::Broker);
        AfterFailure::Retry
    }

    pub(super) async fn after_broker_error(&mut self, error: PublishError) -> AfterFailure {
        self.delivery.telemetry().retry(RelayRetry::Broker);
        match error.kind() {
            PublishErrorKind::Configuration => return AfterFailure::End(TermEnd::Failed(error.into())),
            PublishErrorKind::Fatal => {
                let records = self.delivery.outstanding();
                let telemetry = self.delivery.telemetry_mut();
                telemetry.producer_failed(error.kind());
                telemetry.possible_duplicates(DuplicateReason::ProducerRebuilt, records as u64);
                tracing::error!(
                    event = "producer_rebuilt", error = %ErrorChain::new(&error), records,
                    "the Kafka producer has to be rebuilt; records in flight may be sent twice"
                );
                if let Err(error) = self.delivery.publisher().rebuild().await {
                    tracing::error!(error = %ErrorChain::new(&error), "the Kafka producer could not be dropped");
                }
            }
            PublishErrorKind::Record(_)
            | PublishErrorKind::Topic
            | PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Full
            | PublishErrorKind::Unprepared => {
                tracing::debug!(error = %ErrorChain::new(&error), "Kafka failed");
                self.delivery
                    .telemetry()
                    .trouble(Server::Kafka, ErrorChain::new(&error));
            }
        }
        AfterFailure::Retry
    }
}
