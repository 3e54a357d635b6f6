//! The end of a term by a stop: what is settled is written down, within the time that a stop may take.

use tokio::time::Instant;

use crate::ErrorChain;
use crate::metrics::DuplicateReason;
use crate::publisher::Publisher;
use crate::relay::Relay;
use crate::relay::backoff::Backoff;
use crate::relay::goal::Goal;
use crate::relay::leadership::Leadership;
use crate::relay::run_end::RunEnd;
use crate::relay::stop::Stop;
use crate::store::Store;

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Sees to it that the cursor says all that is settled, if the database or the broker failed when a stop was
    /// asked for: reads again from the cursor, sends what stands before something that is settled, and writes.
    pub(super) async fn catch_up(&mut self, leadership: &Leadership, deadline: Instant) {
        let mut backoff = Backoff::new(&self.config);
        let stop = Stop::unheeded(deadline);
        let mut pause = None;
        loop {
            self.await_outstanding(leadership, deadline).await;
            let in_time = Instant::now() < deadline && !leadership.is_over();
            if self.delivery.outstanding() > 0 || !self.delivery.database_is_behind() || !in_time {
                return;
            }
            if let Some(pause) = pause.take() {
                tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            }
            self.delivery.recover_suspects();
            let caught_up = self.pipeline_run(leadership, Goal::CatchUp, &stop);
            match tokio::time::timeout_at(deadline, caught_up).await {
                Ok(Ok(RunEnd::Store(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "the cursor could not be written at the stop; trying again");
                }
                Ok(Ok(RunEnd::Broker(error) | RunEnd::Refused(error))) => {
                    tracing::warn!(error = %ErrorChain::new(&error), "records before settled ones could not be sent at the stop; trying again");
                    self.delivery.publisher().withdraw();
                }
                // If settled records are still ahead of the cursor, one before them was not taken: it is sent again.
                Ok(Ok(RunEnd::Again | RunEnd::Stopped)) => {}
                Ok(Ok(RunEnd::Drained | RunEnd::LeaseLost) | Err(_)) | Err(_) => return,
            }
            pause = Some(backoff.next());
        }
    }

    /// Waits for what an earlier pipeline run left in flight.
    async fn await_outstanding(&mut self, leadership: &Leadership, deadline: Instant) {
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
    pub(super) fn give_up(&mut self, leadership: &Leadership) {
        if self.delivery.outstanding() == 0 && !self.delivery.database_is_behind() {
            return;
        }
        let records = self.delivery.may_be_repeated();
        let (reason, counted) = match leadership.is_over() {
            true => ("the lease was lost", DuplicateReason::LostLease),
            false => ("the shutdown timeout passed", DuplicateReason::StopDeadline),
        };
        self.delivery
            .telemetry_mut()
            .possible_duplicates(counted, records as u64);
        tracing::warn!(
            event = "possible_duplicates",
            records,
            "stopped before every record was recorded as settled, because {reason}: these records may be sent again"
        );
    }
}
