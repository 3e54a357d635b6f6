//! What was committed, as the writers know it, independent of the outbox.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outbox_runtime::testkit::checker::{Committed, CommittedEvent, Written};
use outbox_runtime::{OutboxEvent, Payload};
use uuid::Uuid;

use crate::shop::Emitted;

/// Filled by the writers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    clock: AtomicU64,
    orders: AtomicU64,
    refused: AtomicU64,
    committed: Mutex<Committed>,
}

impl Ledger {
    /// A logical time, later than all that were returned before.
    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Records a committed order. `began` is a time before its transaction. Call this after the commit.
    pub(crate) fn committed(&self, began: u64, emitted: &Emitted) -> anyhow::Result<()> {
        let ended = self.now();
        let transaction = self.orders.fetch_add(1, Ordering::Relaxed);
        let written = |position| Written {
            transaction,
            position,
            inserted: began,
            committed: ended,
        };
        let mut committed = self.lock();
        add(&mut committed, emitted.placed.0, &emitted.placed.1, written(0))?;
        add(&mut committed, emitted.paid.0, &emitted.paid.1, written(1))
    }

    /// Records an order that was rolled back.
    pub(crate) fn rolled_back(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Orders whose transaction committed.
    pub(crate) fn orders(&self) -> u64 {
        self.orders.load(Ordering::Relaxed)
    }

    /// Orders whose transaction rolled back.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Committed events.
    pub(crate) fn events(&self) -> u64 {
        self.lock().len() as u64
    }

    /// For the comparison with what arrived.
    pub(crate) fn into_committed(self) -> Committed {
        self.committed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Committed> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<E: OutboxEvent>(
    committed: &mut Committed,
    id: Uuid,
    event: &E,
    written: Written,
) -> anyhow::Result<()> {
    let value = match event.payload().map_err(anyhow::Error::from_boxed)? {
        Payload::Json(text) => Some(text.into_bytes()),
        Payload::Binary(bytes) => Some(bytes),
        Payload::Tombstone => None,
        other => anyhow::bail!("unknown kind of payload: {other:?}"),
    };
    committed.event(CommittedEvent {
        id,
        topic: &event.topic(),
        key: &event.key(),
        value: value.as_deref(),
        headers: &[("ce_type", &event.event_type())],
        written,
    })?;
    Ok(())
}
