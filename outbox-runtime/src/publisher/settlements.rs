//! What became of records, passed from the broker's client to the relay.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::{PublishError, Ticket};

/// The outcome of sending one record.
#[derive(Debug)]
pub struct Settlement {
    /// The ticket of the record.
    pub ticket: Ticket,
    /// `Ok` if the record is durable, or the error.
    pub result: Result<(), Box<PublishError>>,
}

/// A queue of settlements from any thread, such as a client's callback, to a [`Publisher`](super::Publisher).
///
/// It counts records in flight.
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

    /// Counts a record that is about to be sent.
    pub fn handing_over(&self) {
        self.shared.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// Reverts [`handing_over`](Self::handing_over) after the client refused the record.
    pub fn refused(&self) {
        self.one_less();
    }

    /// Reports the outcome of a record. Does not block.
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

    /// Waits for settlements and appends them to `into`. Cancel safe.
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

    /// Records in flight.
    pub fn outstanding(&self) -> usize {
        self.shared.outstanding.load(Ordering::Acquire)
    }

    /// Waits until no record is in flight. Cancel safe.
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
