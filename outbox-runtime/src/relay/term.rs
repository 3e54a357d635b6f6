//! The active relay's work under one lease: pass after pass, until the lease, the work or the process ends.

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::caution::Caution;
use super::doubts::Front;
use super::error::RelayError;
use super::exactly_once::Failed;
use super::feed::Feed;
use super::pass::{CursorWrites, End, Pass};
use super::report::RelayReport;
use super::stop::Stop;
use super::tenure::{Tenure, obtain};
use super::{DeliveryMode, Goal, Relay};
use crate::ErrorChain;
use crate::failpoint::{self, Place};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::store::{Generations as _, Reader, Store, StoreError, StoreErrorKind};

/// How often the active relay looks whether writers need room.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// Why a term ended.
pub(super) enum TermEnd {
    LeaseLost,
    /// The goal is reached, or a stop was asked for.
    Done,
    Failed(RelayError),
}

/// Whether a term goes on after a failure.
pub(super) enum Next {
    Pass,
    End(TermEnd),
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Term after term, until the goal is reached.
    pub(super) async fn work(
        &mut self,
        goal: Goal,
        shutdown: CancellationToken,
    ) -> Result<RelayReport, RelayError> {
        let stop = Stop::new(shutdown, self.config.shutdown_timeout);
        self.delivery.report = RelayReport::default();
        let mut lost = None;
        loop {
            let tenure = tokio::select! {
                biased;
                () = stop.asked() => return Ok(self.delivery.report),
                tenure = obtain(&self.store, &self.config, &self.clock, &self.waker, self.last_token, lost, &self.delivery.progress, self.waits(goal)) => tenure?,
            };
            self.last_token = Some(tenure.fence().token);
            self.delivery.report.tenures += 1;
            self.delivery.progress.set_active(true);
            let end = match self.config.delivery {
                DeliveryMode::AtLeastOnce => self.term(&tenure, goal, &stop).await,
                DeliveryMode::ExactlyOnce => self.exactly_once_term(&tenure, goal, &stop).await,
            };
            self.delivery.progress.set_active(false);
            match end {
                TermEnd::LeaseLost => {
                    lost = Some(tenure.fence());
                    // What did not leave this process must not leave it any more; what did is only awaited.
                    self.delivery.publisher.withdraw();
                    let records = self.delivery.may_be_repeated();
                    self.delivery.report.possible_duplicates.lost_lease += records as u64;
                    tracing::warn!(
                        records,
                        "the lease is lost; records that are not written down as settled may come twice"
                    );
                }
                TermEnd::Done => {
                    self.catch_up(&tenure, stop.deadline()).await;
                    self.give_up();
                    self.delivery.publisher.withdraw();
                    tenure.release().await;
                    return Ok(self.delivery.report);
                }
                TermEnd::Failed(error) => {
                    self.delivery.publisher.withdraw();
                    tenure.release().await;
                    return Err(error);
                }
            }
        }
    }

    async fn term(&mut self, tenure: &Tenure<S>, goal: Goal, stop: &Stop) -> TermEnd {
        let _wakes = self.forward_wakes();
        self.delivery.broker.ask_again();
        (self.caution, self.delivery.got_somewhere) = (None, false);
        let _room = self.make_room();
        let mut backoff = Backoff::new(&self.config);
        loop {
            if let Err(end) = self.settle_outstanding(tenure, stop).await {
                return end;
            }
            let delivered = self.delivery.report.delivered;
            let end = match self.pass(tenure, goal, stop).await {
                Ok(end) => end,
                Err(end) => return end,
            };
            if self.delivery.report.delivered > delivered {
                backoff.reset();
            }
            let next = match end {
                End::LeaseLost => Next::End(TermEnd::LeaseLost),
                End::Stopped | End::Drained => Next::End(TermEnd::Done),
                End::Store(error) => self.after_store_error(error, goal),
                End::Again => continue,
                End::Broker(error) => {
                    let topic_only = error.kind() == PublishErrorKind::Topic;
                    let next = self.after_broker_error(error).await;
                    // Later records of a failed record's key must not go out before it does.
                    self.delivery.publisher.withdraw();
                    if topic_only {
                        // Others need not wait: the topic is in doubt, and its records are held back.
                        self.delivery.report.interruptions += 1;
                        continue;
                    }
                    next
                }
                // Nothing of its key is behind it. What is before it may be on its second way already, after
                // one that was not answered: taken back and sent again, it would come twice.
                End::Refused(error) => self.after_broker_error(error).await,
            };
            match next {
                Next::End(end) => return end,
                Next::Pass => self.delivery.report.interruptions += 1,
            }
            tokio::select! {
                biased;
                () = tenure.over() => return TermEnd::LeaseLost,
                () = stop.asked() => return TermEnd::Done,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    /// Opens a reader and works until something ends it.
    async fn pass(&mut self, tenure: &Tenure<S>, goal: Goal, stop: &Stop) -> Result<End, TermEnd> {
        if let Err(error) = self.delivery.publisher.start() {
            return Ok(End::Refused(error));
        }
        let opened = tokio::select! {
            biased;
            () = tenure.over() => return Err(TermEnd::LeaseLost),
            () = stop.asked() => return Err(TermEnd::Done),
            opened = self.store.open_reader(tenure.fence()) => opened,
        };
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => return Ok(End::Store(error)),
        };
        self.has_worked = true;
        failpoint::reach(Place::CursorClaimed);
        if reader.claimed().is_some_and(|row| row.generation.is_some()) {
            let left = tokio::select! {
                biased;
                () = tenure.over() => return Err(TermEnd::LeaseLost),
                () = stop.asked() => return Err(TermEnd::Done),
                left = self.leave_exactly_once(&mut reader) => left,
            };
            match left {
                Ok(()) => {}
                Err(Failed::Store(error)) => return Ok(End::Store(error)),
                Err(Failed::Broker(error)) => return Ok(End::Refused(error)),
            }
        }
        self.delivery.report.possible_duplicates.database_went_back += reader.may_repeat();
        match reader.parked_topics().await {
            Ok(topics) => self.delivery.remain_aside(&topics),
            Err(error) => return Ok(End::Store(error)),
        }
        self.delivery.start_over();
        if goal != Goal::CatchUp {
            match self.look_for_suspects(&mut reader).await {
                Ok(None) => {}
                Ok(Some(mut caution)) => {
                    let end = self.go_with_care(&mut caution, reader, tenure, stop).await;
                    self.caution = Some(Some(caution).filter(Caution::goes_on));
                    return Ok(end);
                }
                Err(error) => return Ok(End::Store(error)),
            }
        }
        let informant = match self.delivery.informant(&mut reader).await {
            Ok(informant) => informant,
            Err(error) => return Ok(End::Store(error)),
        };
        let pass = Pass {
            delivery: &mut self.delivery,
            feed: Feed::start(reader, &self.config, self.waker.clone(), informant),
            tenure,
            stop,
            config: &self.config,
            goal,
            current: None,
            cursor: CursorWrites::new(),
            lanes: Vec::new(),
            rounds: Vec::new(),
            backoff: Backoff::new(&self.config),
            front: Front::new(),
            probed: 0,
            offered: 0,
        };
        Ok(pass.run().await)
    }

    /// Looks once a term whether the terms before it have died of a record.
    async fn look_for_suspects(&mut self, reader: &mut S::Reader) -> Result<Option<Caution>, StoreError> {
        if self.caution.is_none() {
            let suspicion = reader.suspicion().await?;
            let records = self.config.max_in_flight_records;
            self.caution = Some(Caution::because_of(suspicion, records));
        }
        Ok(self.caution.as_mut().and_then(Option::take))
    }

    /// Waits for what an earlier pass left on its way: a record must not be sent again before its outcome is
    /// known. What does not come back is left behind: the next pass holds back what comes after it.
    async fn settle_outstanding(&mut self, tenure: &Tenure<S>, stop: &Stop) -> Result<(), TermEnd> {
        let patience = self.config.set_aside_after;
        let deadline = Instant::now() + patience;
        while self.delivery.in_flight.outstanding() > 0 {
            tokio::select! {
                biased;
                () = tenure.over() => return Err(TermEnd::LeaseLost),
                () = stop.asked() => return Err(TermEnd::Done),
                () = self.delivery.settled() => {
                    // Whatever failed is read and sent again by the next pass.
                    let _ = self.delivery.note(None);
                }
                () = tokio::time::sleep_until(deadline) => self.delivery.leave_behind(patience),
            }
        }
        Ok(())
    }

    /// Whether rights and tables that are missing are waited for: by a relay that has worked with them, and is not there to
    /// come to an end.
    pub(super) fn waits(&self, goal: Goal) -> bool {
        self.has_worked && goal == Goal::Stop
    }

    pub(super) fn after_store_error(&mut self, error: StoreError, goal: Goal) -> Next {
        if error.kind() == StoreErrorKind::Fenced {
            return Next::End(TermEnd::LeaseLost);
        }
        match RelayError::fatal(error, self.waits(goal)) {
            Ok(fatal) => Next::End(TermEnd::Failed(fatal)),
            Err(error) => {
                tracing::warn!(error = %ErrorChain::new(&error), "waiting for the database");
                self.delivery.progress.trouble_with(ErrorChain::new(&error));
                Next::Pass
            }
        }
    }

    /// What became of the transaction is found out by the next session: nothing of it is in doubt for long.
    pub(super) fn after_transaction_error(&mut self, error: PublishError) -> Next {
        if error.kind() == PublishErrorKind::Configuration {
            return Next::End(TermEnd::Failed(error.into()));
        }
        tracing::warn!(error = %ErrorChain::new(&error), "waiting for Kafka");
        self.delivery.progress.trouble_with(ErrorChain::new(&error));
        Next::Pass
    }

    async fn after_broker_error(&mut self, error: PublishError) -> Next {
        match error.kind() {
            PublishErrorKind::Configuration => return Next::End(TermEnd::Failed(error.into())),
            PublishErrorKind::Fatal => {
                let records = self.delivery.outstanding();
                self.delivery.report.possible_duplicates.producer_rebuilt += records as u64;
                tracing::error!(
                    error = %ErrorChain::new(&error), records,
                    "the Kafka producer has to be rebuilt; records on their way may come twice"
                );
                if let Err(error) = self.delivery.publisher.rebuild().await {
                    tracing::error!(error = %ErrorChain::new(&error), "the Kafka producer could not be dropped");
                }
            }
            PublishErrorKind::Record(_)
            | PublishErrorKind::Topic
            | PublishErrorKind::Unavailable
            | PublishErrorKind::Withdrawn
            | PublishErrorKind::Full
            | PublishErrorKind::Unprepared => {
                tracing::warn!(error = %ErrorChain::new(&error), "waiting for Kafka");
                self.delivery.progress.trouble_with(ErrorChain::new(&error));
            }
        }
        Next::Pass
    }

    /// Sees to it that the cursor says all that is settled, if the database or the broker failed when a stop was
    /// asked for: reads again from the cursor, sends what stands before something that is settled, and writes.
    async fn catch_up(&mut self, tenure: &Tenure<S>, deadline: Instant) {
        let mut backoff = Backoff::new(&self.config);
        let stop = Stop::unheeded(deadline);
        loop {
            self.await_outstanding(tenure, deadline).await;
            let in_time = Instant::now() < deadline && !tenure.is_over();
            if self.delivery.outstanding() > 0 || !self.delivery.database_is_behind() || !in_time {
                return;
            }
            let caught_up = self.pass(tenure, Goal::CatchUp, &stop);
            match tokio::time::timeout_at(deadline, caught_up).await {
                Ok(Ok(End::Store(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "the cursor could not be written at the stop; trying again");
                }
                Ok(Ok(End::Broker(error) | End::Refused(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "records before settled ones could not be sent at the stop; trying again");
                    self.delivery.publisher.withdraw();
                }
                Ok(Ok(End::Again)) => {}
                Ok(Ok(End::Stopped | End::Drained | End::LeaseLost) | Err(_)) | Err(_) => return,
            }
            let pause = Instant::now() + backoff.next();
            tokio::time::sleep_until(pause.min(deadline)).await;
        }
    }

    /// Waits for what an earlier pass left on its way.
    async fn await_outstanding(&mut self, tenure: &Tenure<S>, deadline: Instant) {
        while self.delivery.outstanding() > 0 {
            tokio::select! {
                biased;
                () = tenure.over() => return,
                () = tokio::time::sleep_until(deadline) => return,
                () = self.delivery.settled() => {
                    // Whatever failed is read and sent again, by this relay or the next.
                    let _ = self.delivery.note(None);
                }
            }
        }
    }

    /// A stop does not wait longer than it may.
    fn give_up(&mut self) {
        if self.delivery.outstanding() == 0 && !self.delivery.database_is_behind() {
            return;
        }
        let records = self.delivery.may_be_repeated();
        self.delivery.report.possible_duplicates.stop_deadline += records as u64;
        tracing::warn!(
            records,
            "stopped before all was written down as settled; these records may come twice"
        );
    }

    /// Sees to it that writers find room, while this relay is the active one. It does not wait for that: what is
    /// there lasts for long.
    pub(super) fn make_room(&self) -> AbortOnDrop {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(ROOM_EVERY);
            loop {
                ticks.tick().await;
                match store.make_room().await {
                    Ok(0) => {}
                    Ok(made) => tracing::info!(made, "made partitions for messages to come"),
                    Err(error) => tracing::error!(
                        error = %ErrorChain::new(&error),
                        "no partitions can be made for messages to come; writers fail once there are none left"
                    ),
                }
            }
        });
        AbortOnDrop(task.abort_handle())
    }

    /// Passes wake-ups of other processes on while this relay is the active one.
    pub(super) fn forward_wakes(&self) -> AbortOnDrop {
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

pub(super) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
