//! What became of records, passed from the broker's client to the relay.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::{PublishError, Ticket};

/// What became of one record.
#[derive(Debug)]
pub struct Settlement {
    /// The hand-over.
    pub ticket: Ticket,
    /// Durably in the log, or why not.
    pub result: Result<(), Box<PublishError>>,
}

/// A queue of settlements from any thread, such as a client's callback, to a [`Publisher`](super::Publisher).
///
/// It counts what is on its way, so that nobody has to ask the client.
#[derive(Debug, Clone, Default)]
pub struct SettlementQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    settled: Mutex<Vec<Settlement>>,
    outstanding: AtomicUsize,
    some_settled: Notify,
    all_settled: Notify,
}

impl SettlementQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a record that is about to be handed over.
    pub fn handing_over(&self) {
        self.shared.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes the count back: the client refused the record.
    pub fn refused(&self) {
        self.one_less();
    }

    /// Says what became of a record. Never blocks for longer than it takes to append.
    pub fn settle(&self, ticket: Ticket, result: Result<(), Box<PublishError>>) {
        let mut settled = self.shared.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = settled.is_empty();
        settled.push(Settlement { ticket, result });
        drop(settled);
        if was_empty {
            self.shared.some_settled.notify_one();
        }
        self.one_less();
    }

    /// Waits until something is settled and appends it to `into`. Cancel safe.
    pub async fn next(&self, into: &mut Vec<Settlement>) {
        loop {
            {
                let mut settled = self.shared.settled.lock().unwrap_or_else(PoisonError::into_inner);
                if !settled.is_empty() {
                    into.append(&mut settled);
                    return;
                }
            }
            self.shared.some_settled.notified().await;
        }
    }

    /// How many records are on their way.
    pub fn outstanding(&self) -> usize {
        self.shared.outstanding.load(Ordering::Acquire)
    }

    /// Waits until no record is on its way. Cancel safe.
    pub async fn drained(&self) {
        while self.outstanding() > 0 {
            let waiting = self.shared.all_settled.notified();
            if self.outstanding() > 0 {
                waiting.await;
            }
        }
    }

    fn one_less(&self) {
        if self.shared.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.all_settled.notify_one();
        }
    }
}
