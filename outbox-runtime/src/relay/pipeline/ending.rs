//! How a run ends: what was handed over is settled as far as there is time, and the cursor is written a last time.

use tokio::time::Instant;

use super::run::PipelineRun;
use crate::publisher::Publisher;
use crate::relay::goal::Goal;
use crate::relay::reader_task::{Done, Request};
use crate::relay::run_end::RunEnd;

impl<P: Publisher> PipelineRun<'_, P> {
    /// Settles what was handed over, within the time a stop may take. A record that failed ends the run: whoever called
    /// decides whether there is time to send it again.
    pub(super) async fn settle_and_finish(&mut self) -> RunEnd {
        let deadline = self.stop.deadline();
        self.current = None;
        let mut end = RunEnd::Stopped;
        loop {
            if self.goal == Goal::CatchUp {
                // Records that wait for others of their key stand before settled ones, too. They are sent before the
                // loop may end: the last acknowledgement may be the one that the next record waited for. What cannot
                // be sent now is read again.
                let _ = self.delivery.send_ready(&self.feed);
            }
            if !self.delivery.in_flight.is_under_way() && self.delivery.parking.all_in_flight() == 0 {
                break;
            }
            self.delivery.ask_for_parking(&self.feed);
            tokio::select! {
                biased;
                () = self.leadership.over() => return RunEnd::LeaseLost,
                () = tokio::time::sleep_until(deadline) => break,
                done = self.feed.done.recv() => match done {
                    Some(done) => self.done(done),
                    None => break,
                },
                () = self.delivery.settled() => {
                    if let Err(error) = self.delivery.note(Some(&self.feed)) {
                        end = RunEnd::Broker(error);
                        break;
                    }
                }
            }
        }
        self.finish(end).await
    }

    /// Other things are decided than at the beginning: settles what was handed over, as far as that comes back in time.
    pub(super) async fn settle_and_begin_again(&mut self, since: Instant) -> RunEnd {
        self.current = None;
        let deadline = since + self.config.suspend_after;
        while self.delivery.outstanding() > 0 {
            self.delivery.ask_for_parking(&self.feed);
            tokio::select! {
                biased;
                () = self.leadership.over() => return RunEnd::LeaseLost,
                () = self.stop.asked() => return self.settle_and_finish().await,
                () = tokio::time::sleep_until(deadline) => break,
                done = self.feed.done.recv() => match done {
                    Some(done) => self.done(done),
                    None => return RunEnd::Store(self.feed.failed().await),
                },
                () = self.delivery.settled() => {
                    if let Err(error) = self.delivery.note(Some(&self.feed)) {
                        return RunEnd::Broker(error);
                    }
                }
            }
        }
        self.finish(RunEnd::Again).await
    }

    /// Writes the cursor a last time, and takes out of the dead letters what was delivered.
    pub(super) async fn finish(&mut self, end: RunEnd) -> RunEnd {
        let mut unwritten = self.cursor.last(self.settled());
        if let Some(mark) = unwritten {
            self.feed.ask(Request::Persist(mark));
        }
        while unwritten.is_some() || !self.delivery.parking.is_clean() {
            self.delivery.ask_for_parking(&self.feed);
            tokio::select! {
                () = self.leadership.over() => return RunEnd::LeaseLost,
                done = self.feed.done.recv() => match done {
                    Some(done) => {
                        if matches!(done, Done::Persisted(mark) if Some(mark) == unwritten) {
                            unwritten = None;
                        }
                        self.done(done);
                    }
                    None => return RunEnd::Store(self.feed.failed().await),
                },
            }
        }
        end
    }
}
