//! The records of one transaction on their way.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::record::Stored;
use super::super::{Direct, Lost};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    InFlight,
    Done,
}

/// The records of one transaction.
pub(super) struct Batch {
    pub(super) records: Vec<(Stored, State)>,
    pub(super) open: usize,
    pub(super) deadline: Instant,
    pub(super) withdrawn: bool,
    pub(super) outcome: Direct,
    pub(super) done: Option<oneshot::Sender<Direct>>,
}

impl Batch {
    pub(super) fn settle(&mut self, index: usize, result: Result<(), String>) {
        let Some((stored, state)) = self.records.get_mut(index) else {
            return;
        };
        if *state == State::Done {
            return;
        }
        *state = State::Done;
        self.open -= 1;
        let message = stored.message();
        match result {
            Ok(()) => self.outcome.delivered.push(message.topic().to_owned()),
            Err(error) => self.outcome.lost.push(Lost {
                id: message.id(),
                topic: message.topic().to_owned(),
                error,
            }),
        }
        if self.open == 0
            && let Some(done) = self.done.take()
        {
            // The caller may be gone.
            let _ = done.send(std::mem::take(&mut self.outcome));
        }
    }

    pub(super) fn next_waiting(&self) -> Option<usize> {
        self.records
            .iter()
            .position(|(_, state)| *state == State::Waiting)
    }
}
