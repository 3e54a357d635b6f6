//! The Essay Lifecycle Service of an essay platform: files become the essays of a batch.
//!
//! Read [`transactions`] first: each function is a transaction, with its rows and its events.

mod consumer;
mod http;
pub mod transactions;

use axum::Router;
use outbox_runtime::Outbox;
use outbox_runtime::consumer::ConsumerBuilder;
use service_kit::{Blueprint, Db, Tables};

pub use consumer::consumer;

/// The service's own tables.
pub const TABLES: Tables = &[(
    1,
    "create slots",
    include_str!("../migrations/1_create_slots.sql"),
)];

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct EssayLifecycle;

impl Blueprint for EssayLifecycle {
    const TABLES: Tables = TABLES;

    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>> {
        Some(consumer(outbox, brokers))
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        http::router(outbox)
    }
}
