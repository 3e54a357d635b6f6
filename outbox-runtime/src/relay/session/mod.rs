//! The active relay's work under one lease: pipeline run after pipeline run, until the lease, the work or the process ends.

mod exactly_once;

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ErrorChain;
use crate::failpoint::{self, Failpoint};
use crate::metrics::{DuplicateReason, RelayRetry};
use crate::publisher::{PublishError, PublishErrorKind, Publisher};
use crate::relay::Relay;
use crate::relay::backoff::Backoff;
use crate::relay::error::RelayError;
use crate::relay::goal::Goal;
use crate::relay::leadership::{Candidate, LastTerm, Leadership};
use crate::relay::mode::DeliveryMode;
use crate::relay::outage;
use crate::relay::pauses::once_the_log_goes_on;
use crate::relay::pipeline::run::PipelineRun;
use crate::relay::poison::PoisonDetection;
use crate::relay::reader_task::ReaderHandle;
use crate::relay::report::{RelayProgress, RelayReport, Server};
use crate::relay::run_end::RunEnd;
use crate::relay::scope::Scope;
use crate::relay::stop::Stop;
use crate::relay::transactional::leave;
use crate::relay::transactional::start::Failed;
use crate::retention::{Pruned, Pruner, Retention};
use crate::store::{Generations as _, Pauses, Reader, Store, StoreError, StoreErrorKind};

/// How often the active relay looks whether writers need room.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// Why a term ended.
pub(in crate::relay) enum TermEnd {
    LeaseLost,
    /// The goal is reached, or a stop was asked for.
    Done,
    Failed(RelayError),
}

/// Whether a term goes on after a failure.
pub(in crate::relay) enum AfterFailure {
    Retry,
    End(TermEnd),
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Term after term, until the goal is reached.
    pub(in crate::relay) async fn work(
        &mut self,
        goal: Goal,
        shutdown: CancellationToken,
    ) -> Result<RelayReport, RelayError> {
        let stop = Stop::new(shutdown, self.config.shutdown_timeout);
        self.delivery.report = RelayReport::default();
        let _outages = self.log_outages();
        let metrics = self.delivery.metrics.clone();
        let _running = metrics.running();
        loop {
            let candidate = Candidate {
                store: &self.store,
                config: &self.config,
                clock: &self.clock,
                waker: &self.waker,
                progress: &self.delivery.progress,
                metrics: &metrics,
                last_term: self.last_term,
                waits_for_rights: self.waits(goal),
            };
            let leadership = tokio::select! {
                biased;
                () = stop.asked() => return Ok(self.delivery.report),
                leadership = candidate.obtain() => leadership?,
            };
            let fence = leadership.fence();
            self.last_term = Some(LastTerm { fence, lost: false });
            self.delivery.report.leader_terms += 1;
            self.delivery.progress.set_active(true);
            let active = metrics.active();
            let end = match self.config.delivery {
                DeliveryMode::AtLeastOnce => self.term(&leadership, goal, &stop).await,
                DeliveryMode::ExactlyOnce => self.exactly_once_term(&leadership, goal, &stop).await,
            };
            self.delivery.progress.set_active(false);
            drop(active);
            match end {
                TermEnd::LeaseLost => {
                    self.last_term = Some(LastTerm { fence, lost: true });
                    // What did not leave this process must not leave it any more; what did is only awaited.
                    self.delivery.publisher.withdraw();
                    let records = self.delivery.may_be_repeated();
                    self.delivery.report.possible_duplicates.lost_lease += records as u64;
                    metrics.lease_lost();
                    metrics.possible_duplicates(DuplicateReason::LostLease, records as u64);
                    tracing::warn!(
                        event = "lease_lost",
                        records,
                        "the lease is lost; records that are not written down as settled may come twice"
                    );
                }
                TermEnd::Done => {
                    self.catch_up(&leadership, stop.deadline()).await;
                    self.give_up(&leadership);
                    self.delivery.publisher.withdraw();
                    leadership.release().await;
                    return Ok(self.delivery.report);
                }
                TermEnd::Failed(error) => {
                    self.delivery.publisher.withdraw();
                    leadership.release().await;
                    return Err(error);
                }
            }
        }
    }

    fn log_outages(&self) -> AbortOnDrop {
        let (store, troubles) = (self.store.clone(), self.delivery.progress.troubles());
        let task = tokio::spawn(async move { outage::log(store.as_ref(), troubles).await });
        AbortOnDrop(task.abort_handle())
    }

    async fn term(&mut self, leadership: &Leadership<S>, goal: Goal, stop: &Stop) -> TermEnd {
        let _wakes = self.forward_wakes();
        self.delivery.broker.ask_again();
        (self.detection, self.delivery.made_progress) = (None, false);
        let _room = self.make_room();
        let _pruner = self.prune();
        let mut backoff = Backoff::new(&self.config);
        loop {
            if let Err(end) = self.settle_outstanding(leadership, stop).await {
                return end;
            }
            let delivered = self.delivery.report.delivered;
            let end = match self.pipeline_run(leadership, goal, stop).await {
                Ok(end) => end,
                Err(end) => return end,
            };
            if self.delivery.report.delivered > delivered {
                backoff.reset();
            }
            let next = match end {
                RunEnd::LeaseLost => AfterFailure::End(TermEnd::LeaseLost),
                RunEnd::Stopped | RunEnd::Drained => AfterFailure::End(TermEnd::Done),
                RunEnd::Store(error) => self.after_store_error(error, goal),
                RunEnd::Again => continue,
                RunEnd::Broker(error) => {
                    let topic_only = error.kind() == PublishErrorKind::Topic;
                    let next = self.after_broker_error(error).await;
                    // Later records of a failed record's key must not go out before it does.
                    self.delivery.publisher.withdraw();
                    if topic_only {
                        // Others need not wait: the topic is suspect, and its records are held back.
                        self.delivery.report.interruptions += 1;
                        self.delivery.metrics.retry(RelayRetry::Topic);
                        continue;
                    }
                    next
                }
                // Nothing of its key is behind it. What is before it may be on its second way already, after
                // one that was not answered: taken back and sent again, it would come twice.
                RunEnd::Refused(error) => self.after_broker_error(error).await,
            };
            match next {
                AfterFailure::End(end) => return end,
                AfterFailure::Retry => self.delivery.report.interruptions += 1,
            }
            tokio::select! {
                biased;
                () = leadership.over() => return TermEnd::LeaseLost,
                () = stop.asked() => return TermEnd::Done,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    /// Opens a reader and works until something ends it.
    async fn pipeline_run(
        &mut self,
        leadership: &Leadership<S>,
        goal: Goal,
        stop: &Stop,
    ) -> Result<RunEnd, TermEnd> {
        if let Err(error) = self.delivery.publisher.start() {
            return Ok(RunEnd::Refused(error));
        }
        let opened = tokio::select! {
            biased;
            () = leadership.over() => return Err(TermEnd::LeaseLost),
            () = stop.asked() => return Err(TermEnd::Done),
            opened = self.store.open_reader(leadership.fence()) => opened,
        };
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => return Ok(RunEnd::Store(error)),
        };
        self.has_worked = true;
        failpoint::reach(Failpoint::CursorClaimed);
        if reader.claimed().is_some_and(|row| row.generation.is_some()) {
            let left = tokio::select! {
                biased;
                () = leadership.over() => return Err(TermEnd::LeaseLost),
                () = stop.asked() => return Err(TermEnd::Done),
                left = leave(&mut reader, self.transactions.as_deref_mut()) => left,
            };
            match left {
                Ok(()) => {}
                Err(Failed::Store(error)) => return Ok(RunEnd::Store(error)),
                Err(Failed::Broker(error)) => return Ok(RunEnd::Refused(error)),
            }
        }
        let repeated = reader.may_repeat();
        self.delivery.report.possible_duplicates.database_went_back += repeated;
        let metrics = &self.delivery.metrics;
        metrics.possible_duplicates(DuplicateReason::DatabaseWentBack, repeated);
        let pauses = tokio::select! {
            biased;
            () = leadership.over() => return Err(TermEnd::LeaseLost),
            () = stop.asked() => return Err(TermEnd::Done),
            pauses = pauses_at_the_start(&mut reader, goal, &self.delivery.progress) => pauses,
        };
        let pauses = match pauses {
            Ok(pauses) => pauses,
            Err(error) => return Ok(RunEnd::Store(error)),
        };
        match reader.parked_topics().await {
            Ok(topics) => self.delivery.remain_suspended(&topics),
            Err(error) => return Ok(RunEnd::Store(error)),
        }
        self.delivery.topics.pause(&pauses);
        self.delivery.start_over();
        if goal != Goal::CatchUp {
            match self.poison_detection(&mut reader).await {
                Ok(None) => {}
                Ok(Some(mut detection)) => {
                    let end = self.detect_poison(&mut detection, reader, leadership, stop).await;
                    self.detection = Some(Some(detection).filter(PoisonDetection::goes_on));
                    return Ok(end);
                }
                Err(error) => return Ok(RunEnd::Store(error)),
            }
        }
        let lookup = match self.delivery.lookup(&mut reader).await {
            Ok(lookup) => lookup,
            Err(error) => return Ok(RunEnd::Store(error)),
        };
        let scope = Scope {
            leadership,
            goal,
            stop,
            config: &self.config,
        };
        let feed = ReaderHandle::start(reader, &self.config, self.waker.clone(), lookup);
        Ok(PipelineRun::new(&mut self.delivery, feed, scope, pauses)
            .run()
           .await)
    }

    /// Looks once a term whether the terms before it have died of a record.
    async fn poison_detection(
        &mut self,
        reader: &mut S::Reader,
    ) -> Result<Option<PoisonDetection>, StoreError> {
        if self.detection.is_none() {
            let poison_history = reader.poison_history().await?;
            let records = self.config.max_in_flight_records;
            self.detection = Some(PoisonDetection::from_history(poison_history, records));
        }
        Ok(self.detection.as_mut().and_then(Option::take))
    }

    /// Waits for what an earlier pipeline run left in flight: a record must not be sent again before its outcome is
    /// known. What does not come back is left behind: the next pipeline run holds back what comes after it.
    async fn settle_outstanding(&mut self, leadership: &Leadership<S>, stop: &Stop) -> Result<(), TermEnd> {
        let patience = self.config.set_aside_after;
        let deadline = Instant::now() + patience;
        while self.delivery.in_flight.outstanding() > 0 {
            tokio::select! {
                biased;
                () = leadership.over() => return Err(TermEnd::LeaseLost),
                () = stop.asked() => return Err(TermEnd::Done),
                () = self.delivery.settled() => {
                    // Whatever failed is read and sent again by the next pipeline run.
                    let _ = self.delivery.note(None);
                }
                () = tokio::time::sleep_until(deadline) => self.delivery.leave_behind(patience),
            }
        }
        Ok(())
    }

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
                self.delivery
                    .progress
                    .trouble_with(Server::Database, ErrorChain::new(&error));
                self.delivery.metrics.retry(RelayRetry::Database);
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
        self.delivery
            .progress
            .trouble_with(Server::Kafka, ErrorChain::new(&error));
        self.delivery.metrics.publish_error(error.kind().as_str());
        self.delivery.metrics.retry(RelayRetry::Broker);
        AfterFailure::Retry
    }

    async fn after_broker_error(&mut self, error: PublishError) -> AfterFailure {
        self.delivery.metrics.retry(RelayRetry::Broker);
        match error.kind() {
            PublishErrorKind::Configuration => return AfterFailure::End(TermEnd::Failed(error.into())),
            PublishErrorKind::Fatal => {
                let records = self.delivery.outstanding();
                self.delivery.report.possible_duplicates.producer_rebuilt += records as u64;
                let metrics = &self.delivery.metrics;
                metrics.publish_error(error.kind().as_str());
                metrics.possible_duplicates(DuplicateReason::ProducerRebuilt, records as u64);
                tracing::error!(
                    event = "producer_rebuilt", error = %ErrorChain::new(&error), records,
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
                tracing::debug!(error = %ErrorChain::new(&error), "Kafka failed");
                self.delivery
                    .progress
                    .trouble_with(Server::Kafka, ErrorChain::new(&error));
            }
        }
        AfterFailure::Retry
    }

    /// Sees to it that the cursor says all that is settled, if the database or the broker failed when a stop was
    /// asked for: reads again from the cursor, sends what stands before something that is settled, and writes.
    async fn catch_up(&mut self, leadership: &Leadership<S>, deadline: Instant) {
        let mut backoff = Backoff::new(&self.config);
        let stop = Stop::unheeded(deadline);
        loop {
            self.await_outstanding(leadership, deadline).await;
            let in_time = Instant::now() < deadline && !leadership.is_over();
            if self.delivery.outstanding() > 0 || !self.delivery.database_is_behind() || !in_time {
                return;
            }
            self.delivery.topics.recover_suspects();
            let caught_up = self.pipeline_run(leadership, Goal::CatchUp, &stop);
            match tokio::time::timeout_at(deadline, caught_up).await {
                Ok(Ok(RunEnd::Store(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "the cursor could not be written at the stop; trying again");
                }
                Ok(Ok(RunEnd::Broker(error) | RunEnd::Refused(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "records before settled ones could not be sent at the stop; trying again");
                    self.delivery.publisher.withdraw();
                }
                // If settled records are still ahead of the cursor, one before them was not taken: it is sent again.
                Ok(Ok(RunEnd::Again | RunEnd::Stopped)) => {}
                Ok(Ok(RunEnd::Drained | RunEnd::LeaseLost) | Err(_)) | Err(_) => return,
            }
            let pause = Instant::now() + backoff.next();
            tokio::time::sleep_until(pause.min(deadline)).await;
        }
    }

    /// Waits for what an earlier pipeline run left in flight.
    async fn await_outstanding(&mut self, leadership: &Leadership<S>, deadline: Instant) {
        while self.delivery.outstanding() > 0 {
            tokio::select! {
                biased;
                () = leadership.over() => return,
                () = tokio::time::sleep_until(deadline) => return,
                () = self.delivery.settled() => {
                    // Whatever failed is read and sent again, by this relay or the next.
                    let _ = self.delivery.note(None);
                }
            }
        }
    }

    /// A stop waits neither past its deadline nor past the lease. Records that are not settled by then may be sent
    /// again by the next relay.
    fn give_up(&mut self, leadership: &Leadership<S>) {
        if self.delivery.outstanding() == 0 && !self.delivery.database_is_behind() {
            return;
        }
        let records = self.delivery.may_be_repeated();
        let duplicates = &mut self.delivery.report.possible_duplicates;
        let (reason, count, counted) = match leadership.is_over() {
            true => (
                "the lease was lost",
                &mut duplicates.lost_lease,
                DuplicateReason::LostLease,
            ),
            false => (
                "the shutdown timeout passed",
                &mut duplicates.stop_deadline,
                DuplicateReason::StopDeadline,
            ),
        };
        *count += records as u64;
        self.delivery.metrics.possible_duplicates(counted, records as u64);
        tracing::warn!(
            event = "possible_duplicates",
            records,
            "stopped before every record was recorded as settled, because {reason}: these records may be sent again"
        );
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
                        "made partitions for messages to come"
                    ),
                    Err(error) => tracing::error!(
                        event = "partitions_failed",
                        error = %ErrorChain::new(&error),
                        "no partitions can be made for messages to come; writers fail once there are none left"
                    ),
                }
            }
        });
        AbortOnDrop(task.abort_handle())
    }

    /// Deletes what retention lets go, while this relay is the active one.
    pub(in crate::relay) fn prune(&self) -> Option<AbortOnDrop> {
        let retention = Some(self.config.retention.clone()).filter(Retention::is_on)?;
        let progress = self.delivery.progress.clone();
        let tell = move |pruned: Pruned| progress.add_pruned(pruned.messages);
        let pruner = Pruner::checked(self.store.clone(), retention, tell);
        let task = tokio::spawn(async move { pruner.run(CancellationToken::new()).await });
        Some(AbortOnDrop(task.abort_handle()))
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

/// What is paused when a run begins. A paused log is waited for, unless a stop only settles what it has begun.
async fn pauses_at_the_start<R: Reader>(
    reader: &mut R,
    goal: Goal,
    progress: &RelayProgress,
) -> Result<Pauses, StoreError> {
    match goal {
        Goal::CatchUp => reader.pauses().await,
        Goal::Stop | Goal::Drain => once_the_log_goes_on(reader, progress).await,
    }
}

pub(in crate::relay) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
