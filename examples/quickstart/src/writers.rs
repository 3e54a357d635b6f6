//! Concurrent writers: customers who place orders at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use outbox_runtime::Outbox;
use sqlx::Sqlite;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::shop::{Order, ShopError, place_order};

/// Few customers, so that many concurrent transactions write events with the same key.
const CUSTOMERS: u32 = 40;

/// One order in eight is rolled back.
const REFUSED_EVERY: u32 = 8;

/// Places `orders` orders in `writers` concurrent transactions, and records in the ledger how each ended.
pub(crate) async fn place_orders(
    outbox: &Outbox<Sqlite>,
    ledger: &Arc<Ledger>,
    orders: u32,
    writers: u32,
) -> Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..writers {
        let (outbox, ledger, next) = (outbox.clone(), Arc::clone(ledger), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= orders {
                    return Ok(());
                }
                place(&outbox, &ledger, number).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a writer panicked")??;
    }
    Ok(())
}

async fn place(outbox: &Outbox<Sqlite>, ledger: &Ledger, number: u32) -> Result<()> {
    let order = Order {
        id: Uuid::now_v7(),
        customer: format!("customer-{:02}", number % CUSTOMERS),
        total_cents: 100 + i64::from(number * 7 % 10_000),
        card_is_refused: number % REFUSED_EVERY == REFUSED_EVERY - 1,
    };
    let began = ledger.now();
    match place_order(outbox, &order).await {
        Ok(emitted) => ledger.committed(began, &emitted),
        Err(ShopError::CardRefused) => {
            ledger.rolled_back();
            Ok(())
        }
        Err(error) => Err(error).context("cannot write an order"),
    }
}
