//! The Result Aggregator of an essay platform: it joins what the others found out, and announces when everything is
//! there.
//!
//! Read [`transactions`] first: each message is a transaction, and the one that completes a batch has an event.

mod consumer;
mod http;
mod rows;
pub mod transactions;

use axum::Router;
use outbox_runtime::Outbox;
use outbox_runtime::consumer::ConsumerBuilder;
use service_kit::{Blueprint, Db, Tables};

pub use consumer::consumer;

/// The service's own tables.
pub const TABLES: Tables = &[(
    1,
    "create results",
    include_str!("../migrations/1_create_results.sql"),
)];

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResultAggregator;

impl Blueprint for ResultAggregator {
    const TABLES: Tables = TABLES;

    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>> {
        Some(consumer(outbox, brokers))
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        http::router(outbox)
    }
}
