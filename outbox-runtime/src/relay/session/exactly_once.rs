//! Exactly-once delivery within one leader term: run after run.

use super::{AfterFailure, TermEnd, again_if_fenced};
use crate::failpoint::{self, Failpoint};
use crate::publisher::{PublishError, PublishErrorKind, Publisher, Transactions};
use crate::relay::Relay;
use crate::relay::backoff::Backoff;
use crate::relay::config::RelayConfig;
use crate::relay::goal::Goal;
use crate::relay::interventions::interventions_at_the_start;
use crate::relay::leadership::Leadership;
use crate::relay::run_end::RunEnd;
use crate::relay::scope::Scope;
use crate::relay::stop::Stop;
use crate::relay::transactional::redeliveries::Redeliveries;
use crate::relay::transactional::run::{Begun, Outlet, TransactionalRun};
use crate::relay::transactional::start::{Failed, start};
use crate::store::{Interventions, Reader, Store};

impl<S: Store, P: Publisher> Relay<S, P> {
    pub(super) async fn exactly_once_term(
        &mut self,
        leadership: &Leadership,
        goal: Goal,
        stop: &Stop,
    ) -> TermEnd {
        let _wakes = self.forward_wakes();
        let _room = self.make_room();
        let _pruner = self.prune();
        let end = self.sessions(leadership, goal, stop).await;
        if let Some(transactions) = self.transactions.as_mut() {
            transactions.close().await;
        }
        self.delivery.telemetry().in_flight(0, 0);
        end
    }

    async fn sessions(&mut self, leadership: &Leadership, goal: Goal, stop: &Stop) -> TermEnd {
        let mut backoff = Backoff::new(&self.config);
        loop {
            let delivered = self.delivery.telemetry().report().delivered;
            let end = self.transactional_run(leadership, goal, stop).await;
            if self.delivery.telemetry().report().delivered > delivered {
                backoff.reset();
            }
            let next = match end {
                RunEnd::LeaseLost => AfterFailure::End(TermEnd::LeaseLost),
                RunEnd::Stopped | RunEnd::Drained => AfterFailure::End(TermEnd::Done),
                RunEnd::Store(error) => self.after_store_error(error, goal),
                RunEnd::Broker(error) | RunEnd::Refused(error) => self.after_transaction_error(error),
                RunEnd::Again => continue,
            };
            if let AfterFailure::End(end) = next {
                return end;
            }
            self.delivery.telemetry_mut().interrupted();
            tokio::select! {
                biased;
                () = leadership.over() => return TermEnd::LeaseLost,
                () = stop.asked() => return TermEnd::Done,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    async fn transactional_run(&mut self, leadership: &Leadership, goal: Goal, stop: &Stop) -> RunEnd {
        if self.transactions.is_none() {
            let what = "this publisher has no transactions, which exactly-once delivery rests on";
            return RunEnd::Refused(PublishError::new(PublishErrorKind::Configuration, what));
        }
        let opened = tokio::select! {
            biased;
            () = leadership.over() => return RunEnd::LeaseLost,
            () = stop.asked() => return RunEnd::Stopped,
            opened = self.store.open_reader_after(leadership.fence(), self.claims.last()) => opened,
        };
        let reader = match opened {
            Ok(reader) => reader,
            Err(error) => return RunEnd::Store(error),
        };
        failpoint::reach(Failpoint::CursorClaimed);
        self.cursor_claimed(reader.claim_id(), reader.cursor_change())
            .await;
        let end = self.run_transactions(reader, leadership, goal, stop).await;
        again_if_fenced(end)
    }

    /// Works with a reader until something ends it.
    async fn run_transactions(
        &mut self,
        mut reader: S::Reader,
        leadership: &Leadership,
        goal: Goal,
        stop: &Stop,
    ) -> RunEnd {
        let Some(transactions) = self.transactions.as_deref_mut() else {
            return RunEnd::Stopped;
        };
        let progress = self.delivery.telemetry().progress();
        let opening = async {
            let interventions = interventions_at_the_start(&mut reader, goal, progress).await?;
            begin(reader, &mut *transactions, &self.config, interventions).await
        };
        let opened = tokio::select! {
            biased;
            () = leadership.over() => return RunEnd::LeaseLost,
            () = stop.asked() => return RunEnd::Stopped,
            opened = opening => opened,
        };
        let begun = match opened {
            Ok(opened) => {
                self.has_worked = true;
                opened
            }
            Err(Failed::Store(error)) => return RunEnd::Store(error),
            Err(Failed::Broker(error)) => return RunEnd::Refused(error),
        };
        let outlet = Outlet {
            transactions,
            wire: self.delivery.wire().clone(),
            telemetry: self.delivery.telemetry_mut(),
        };
        let scope = Scope {
            leadership,
            goal,
            stop,
            config: &self.config,
        };
        TransactionalRun::new(begun, outlet, scope, self.waker.clone())
            .run()
            .await
    }
}

/// Compares the cursors, and finds out what waits in the dead letters.
async fn begin<R: Reader>(
    mut reader: R,
    transactions: &mut dyn Transactions,
    config: &RelayConfig,
    interventions: Interventions,
) -> Result<Begun<R>, Failed> {
    reader.hold_keys(&interventions.pauses);
    let position = start(&mut reader, transactions).await?;
    let parked = reader.parked_topics().await?;
    let topics_with_dead_letters = match config.block.is_empty() {
        true => Vec::new(),
        false => reader.dead_letter_topics().await?,
    };
    let redeliveries = Redeliveries::new(config, &parked, &topics_with_dead_letters, &interventions.pauses);
    Ok(Begun {
        reader,
        position,
        redeliveries,
        interventions,
    })
}
