//! The same through the library: transactions of the outbox, and messages enqueued into one of sqlx.

use outbox_runtime::testkit::checker::Written;
use outbox_runtime::{Error, ErrorKind, OutboxMessage, OutboxTx, Payload};
use rand::Rng;
use sqlx::{PgConnection, Postgres};

use super::business;
use super::event::{EVENT_TYPE, Event, Value};
use super::ledger::WrittenEvent;
use super::shape::{WriteError, Writer};

/// Why a transaction's body ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("by choice")]
    ByChoice,
    #[error(transparent)]
    Outbox(#[from] Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Writer {
    /// Emits before, in and behind a savepoint, which is sometimes rolled back, as the whole sometimes is.
    pub(super) async fn emit(&mut self) -> Result<(), WriteError> {
        let (outbox, ledger) = (self.outbox.clone(), self.ledger.clone());
        let parts = [self.some_events(), self.some_events(), self.some_events()];
        let [before, inside, behind] = &parts;
        let undone = self.random.random_bool(0.3);
        let fails = self.random.random_bool(0.1);
        let slow = self.random.random_bool(0.2);
        let mut inserted = 0;
        let business = self.business;
        let result = outbox.transaction(async |tx| {
            sqlx::query("SELECT pg_current_xact_id()")
                .execute(&mut **tx)
                .await?;
            emit_all(tx, before)?;
            act(tx, business, before).await?;
            if slow {
                self.let_others_commit().await;
            }
            let part = tx.savepoint(async |tx| {
                emit_all(tx, inside)?;
                act(tx, business, inside).await?;
                if undone { Err(Ended::ByChoice) } else { Ok(()) }
            });
            match part.await {
                Ok(()) | Err(Ended::ByChoice) => {}
                Err(error) => return Err(error),
            }
            emit_all(tx, behind)?;
            act(tx, business, behind).await?;
            // Rows are written when the body has ended.
            inserted = ledger.now();
            if fails { Err(Ended::ByChoice) } else { Ok(()) }
        });
        let result = result.await;

        let transaction = ledger.next_transaction();
        let [before, inside, behind] = parts;
        let (inside, dropped) = if undone {
            (Vec::new(), inside)
        } else {
            (inside, Vec::new())
        };
        let written = |(position, event)| {
            let written = Written {
                transaction,
                position,
                inserted,
                committed: u64::MAX,
            };
            WrittenEvent { event, written }
        };
        let events = (0..)
            .zip(before.into_iter().chain(inside).chain(behind))
            .map(written)
            .collect();
        ledger.rolled_back((0..).zip(dropped).map(written));
        self.settle(events, result)
    }

    /// Enqueues one message after the other into a transaction of sqlx.
    pub(super) async fn enqueue(&mut self) -> Result<(), WriteError> {
        let transaction = self.ledger.next_transaction();
        let mut tx = self.pool.begin().await?;
        let mut events = Vec::new();
        for (position, event) in (0..).zip(self.some_events()) {
            let inserted = self.ledger.now();
            let message = message(&event);
            if let Err(error) = act(&mut tx, self.business, std::slice::from_ref(&event)).await {
                return self.settle(events, Err(error.into()));
            }
            let written = Written {
                transaction,
                position,
                inserted,
                committed: u64::MAX,
            };
            events.push(WrittenEvent { event, written });
            match self.outbox.enqueue_message(&mut tx, message).await {
                // Woken after the commit, once for all.
                Ok(_enqueued) => {}
                Err(error) => return self.settle(events, Err(error.into())),
            }
        }
        match tx.commit().await {
            Ok(()) => {
                self.outbox.waker().wake();
                self.settle(events, Ok(()))
            }
            Err(error) => {
                self.ledger.unknown(events);
                Err(error.into())
            }
        }
    }

    /// Takes the library at its word: only an error that says so leaves it open whether there was a commit.
    fn settle(&self, events: Vec<WrittenEvent>, result: Result<(), Ended>) -> Result<(), WriteError> {
        match result {
            Ok(()) => {
                self.ledger.committed(events);
                self.progress.committed();
                Ok(())
            }
            Err(Ended::Outbox(error)) if matches!(error.kind(), ErrorKind::CommitOutcomeUnknown { .. }) => {
                self.ledger.unknown(events);
                Err(error.into())
            }
            Err(ended) => {
                self.ledger.rolled_back(events);
                if let Ended::ByChoice = ended {
                    Ok(())
                } else {
                    Err(ended.into())
                }
            }
        }
    }
}

/// What the transaction does beside emitting these events.
async fn act(connection: &mut PgConnection, business: Option<u64>, events: &[Event]) -> sqlx::Result<()> {
    match business {
        Some(run) => business::insert(connection, run, events).await,
        None => Ok(()),
    }
}

fn emit_all(tx: &mut OutboxTx<'_, Postgres>, events: &[Event]) -> Result<(), Error> {
    events
        .iter()
        .try_for_each(|event| tx.emit_message(message(event)).map(drop))
}

fn message(event: &Event) -> OutboxMessage {
    let payload = match &event.value {
        Value::Json(text) => Payload::Json(text.clone()),
        Value::Binary(bytes) => Payload::Binary(bytes.clone()),
        Value::Tombstone => Payload::Tombstone,
    };
    let message = OutboxMessage::builder(&event.topic, &event.key)
        .id(event.id)
        .event_type(EVENT_TYPE);
    let message = message.aggregate_type("test").payload(payload);
    event
        .header
        .iter()
        .fold(message, |message, value| message.header("x-test", value))
        .build()
}
