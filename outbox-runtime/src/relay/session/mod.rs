//! The active relay's work under one lease: pipeline run after pipeline run, until the lease, the work or the process ends.
//!
//! `exactly_once` does the same with transactional runs. `failures` decides what follows a failure, `stopping` brings a
//! stop to its end, and `background` runs what the active relay does beside its work.

mod background;
mod exactly_once;
mod failures;
mod stopping;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::delivery_mode::DeliveryMode;
use crate::failpoint::{self, Failpoint};
use crate::metrics::{DuplicateReason, RelayRetry};
use crate::publisher::{PublishErrorKind, Publisher};
use crate::relay::Relay;
use crate::relay::backoff::Backoff;
use crate::relay::dead_letters::lookup::DeadLetterLookup;
use crate::relay::error::RelayError;
use crate::relay::goal::Goal;
use crate::relay::interventions::interventions_at_the_start;
use crate::relay::leadership::{Candidate, LastTerm, Leadership};
use crate::relay::pipeline::run::PipelineRun;
use crate::relay::poison::PoisonDetection;
use crate::relay::reader_task::ReaderHandle;
use crate::relay::report::RelayReport;
use crate::relay::run_end::RunEnd;
use crate::relay::scope::Scope;
use crate::relay::stop::Stop;
use crate::relay::transactional::leave;
use crate::relay::transactional::start::Failed;
use crate::store::{
    CursorChange, Generations as _, Interventions, Reader as _, Store, StoreError, StoreErrorKind, Throttles,
};

/// Why a term ended.
pub(in crate::relay) enum TermEnd {
    LeaseLost,
    /// The goal is reached, or a stop was asked for.
    Done,
    Failed(RelayError),
}

/// How a reader's rows are sent.
enum NextWork {
    /// One after the other, because one of them may have ended the processes before.
    OneByOne(PoisonDetection),
    Pages(DeadLetterLookup),
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
        self.delivery.telemetry_mut().begin();
        let _outages = self.log_outages();
        let metrics = self.delivery.telemetry().metrics().clone();
        let _running = metrics.running();
        loop {
            let candidate = Candidate {
                store: &self.store,
                config: &self.config,
                clock: &self.clock,
                waker: &self.waker,
                progress: self.delivery.telemetry().progress(),
                metrics: &metrics,
                last_term: self.last_term,
                waits_for_rights: self.waits(goal),
            };
            let leadership = tokio::select! {
                biased;
                () = stop.asked() => return Ok(self.delivery.telemetry().report()),
                leadership = candidate.obtain() => leadership?,
            };
            let fence = leadership.fence();
            self.last_term = Some(LastTerm { fence, lost: false });
            self.delivery.telemetry_mut().leader_term();
            let progress = self.delivery.telemetry().progress().clone();
            progress.set_active(true);
            let active = metrics.active();
            let end = match self.config.delivery {
                DeliveryMode::AtLeastOnce => self.term(&leadership, goal, &stop).await,
                DeliveryMode::ExactlyOnce => self.exactly_once_term(&leadership, goal, &stop).await,
            };
            progress.set_active(false);
            drop(active);
            match end {
                TermEnd::LeaseLost => {
                    self.last_term = Some(LastTerm { fence, lost: true });
                    self.after_lost_lease();
                }
                TermEnd::Done => {
                    self.catch_up(&leadership, stop.deadline()).await;
                    self.give_up(&leadership);
                    self.delivery.publisher().withdraw();
                    leadership.release().await;
                    return Ok(self.delivery.telemetry().report());
                }
                TermEnd::Failed(error) => {
                    self.delivery.publisher().withdraw();
                    leadership.release().await;
                    return Err(error);
                }
            }
        }
    }

    /// What did not leave this process must not leave it any more; what did is only awaited.
    fn after_lost_lease(&mut self) {
        self.delivery.publisher().withdraw();
        let records = self.delivery.may_be_repeated();
        let telemetry = self.delivery.telemetry_mut();
        telemetry.metrics().lease_lost();
        telemetry.possible_duplicates(DuplicateReason::LostLease, records as u64);
        tracing::warn!(
            event = "lease_lost",
            records,
            "the lease was lost; records that are not recorded as settled may be sent twice"
        );
    }

    async fn term(&mut self, leadership: &Leadership, goal: Goal, stop: &Stop) -> TermEnd {
        let _wakes = self.forward_wakes();
        self.delivery.begin_term();
        self.claims.begin_term();
        self.detection = None;
        let _room = self.make_room();
        let _pruner = self.prune();
        let mut backoff = Backoff::new(&self.config);
        loop {
            if let Err(end) = self.settle_outstanding(leadership, stop).await {
                return end;
            }
            let delivered = self.delivery.telemetry().report().delivered;
            let end = match self.pipeline_run(leadership, goal, stop).await {
                Ok(end) => end,
                Err(end) => return end,
            };
            if self.delivery.telemetry().report().delivered > delivered {
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
                    self.delivery.publisher().withdraw();
                    if topic_only {
                        // Others need not wait: the topic is suspect, and its records are held back.
                        self.delivery.telemetry_mut().interrupted();
                        self.delivery.telemetry().retry(RelayRetry::Topic);
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
                AfterFailure::Retry => self.delivery.telemetry_mut().interrupted(),
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
        leadership: &Leadership,
        goal: Goal,
        stop: &Stop,
    ) -> Result<RunEnd, TermEnd> {
        if let Err(error) = self.delivery.publisher().start() {
            return Ok(RunEnd::Refused(error));
        }
        let opened = tokio::select! {
            biased;
            () = leadership.over() => return Err(TermEnd::LeaseLost),
            () = stop.asked() => return Err(TermEnd::Done),
            opened = self.store.open_reader_after(leadership.fence(), self.claims.last()) => opened,
        };
        let reader = match opened {
            Ok(reader) => reader,
            Err(error) => return Ok(RunEnd::Store(error)),
        };
        self.has_worked = true;
        failpoint::reach(Failpoint::CursorClaimed);
        self.cursor_claimed(reader.claim_id(), reader.cursor_change())
            .await;
        let end = self.run_with(reader, leadership, goal, stop).await?;
        Ok(again_if_fenced(end))
    }

    /// A reader has claimed the cursor. If it is not where this relay left it, what was settled behind it settles nothing
    /// any more.
    pub(super) async fn cursor_claimed(&mut self, claim: Uuid, change: CursorChange) {
        let cursor_move = self.claims.answered(claim, change);
        self.delivery.cursor_was_moved(cursor_move);
        if change == CursorChange::Moved {
            self.count_rewound().await;
        }
    }

    /// What is behind the cursor now may have been sent before.
    async fn count_rewound(&mut self) {
        let records = self
            .store
            .status()
            .await
            .map_or(0, |status| status.backlog.messages);
        self.delivery
            .telemetry_mut()
            .possible_duplicates(DuplicateReason::Rewound, records);
        tracing::warn!(
            event = "rewound",
            records,
            "an operator has rewound the log; all messages after the cursor are sent, whether or not they \
             were delivered before"
        );
    }

    /// Works with a reader until something ends it.
    async fn run_with(
        &mut self,
        mut reader: S::Reader,
        leadership: &Leadership,
        goal: Goal,
        stop: &Stop,
    ) -> Result<RunEnd, TermEnd> {
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
        self.delivery
            .telemetry_mut()
            .possible_duplicates(DuplicateReason::DatabaseWentBack, repeated);
        let progress = self.delivery.telemetry().progress();
        let interventions = tokio::select! {
            biased;
            () = leadership.over() => return Err(TermEnd::LeaseLost),
            () = stop.asked() => return Err(TermEnd::Done),
            found = interventions_at_the_start(&mut reader, goal, progress) => found,
        };
        match interventions {
            Ok(interventions) => Ok(self
                .run_decided(reader, interventions, leadership, goal, stop)
                .await),
            Err(error) => Ok(RunEnd::Store(error)),
        }
    }

    /// Works with a reader, while this is decided, until something ends it.
    async fn run_decided(
        &mut self,
        mut reader: S::Reader,
        mut interventions: Interventions,
        leadership: &Leadership,
        goal: Goal,
        stop: &Stop,
    ) -> RunEnd {
        if goal == Goal::CatchUp {
            // What it sends is to be settled before the stop's deadline.
            interventions.throttles = Throttles::default();
        }
        reader.hold_keys(&interventions.pauses);
        let next = tokio::select! {
            biased;
            () = leadership.over() => return RunEnd::LeaseLost,
            () = stop.asked() => return RunEnd::Stopped,
            next = self.begin_run(&mut reader, &interventions, goal) => next,
        };
        let lookup = match next {
            Ok(NextWork::Pages(lookup)) => lookup,
            Ok(NextWork::OneByOne(mut detection)) => {
                let end = self.detect_poison(&mut detection, reader, leadership, stop).await;
                self.detection = Some(Some(detection).filter(PoisonDetection::goes_on));
                return end;
            }
            Err(error) => return RunEnd::Store(error),
        };
        let scope = Scope {
            leadership,
            goal,
            stop,
            config: &self.config,
        };
        let feed = ReaderHandle::start(reader, &self.config, self.waker.clone(), lookup);
        let run = PipelineRun::new(&mut self.delivery, feed, scope, interventions);
        run.run().await
    }

    /// Begins again at the cursor, with a reader that has claimed it. May be dropped at any point, and be done again.
    async fn begin_run(
        &mut self,
        reader: &mut S::Reader,
        interventions: &Interventions,
        goal: Goal,
    ) -> Result<NextWork, StoreError> {
        let parked_topics = reader.parked_topics().await?;
        self.delivery.remain_suspended(&parked_topics);
        self.delivery.follow(interventions);
        self.delivery.prepare_dead_letters(reader).await?;
        self.delivery.start_over();
        if goal != Goal::CatchUp
            && let Some(detection) = self.poison_detection(reader).await?
        {
            return Ok(NextWork::OneByOne(detection));
        }
        Ok(NextWork::Pages(self.delivery.lookup(reader).await?))
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
    async fn settle_outstanding(&mut self, leadership: &Leadership, stop: &Stop) -> Result<(), TermEnd> {
        let patience = self.config.suspend_after;
        let deadline = Instant::now() + patience;
        while self.delivery.outstanding_of_the_log() > 0 {
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
}

/// A reader that is fenced though it has claimed the cursor in this very term: somebody has moved the cursor, or the
/// lease is lost. The next reader finds out which of the two, and goes on where the cursor is now.
pub(super) fn again_if_fenced(end: RunEnd) -> RunEnd {
    match end {
        RunEnd::Store(error) if error.kind() == StoreErrorKind::Fenced => RunEnd::Again,
        end => end,
    }
}
