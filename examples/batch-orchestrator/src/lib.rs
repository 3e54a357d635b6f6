//! The Batch Orchestrator of an essay platform: it takes each batch through its phases.
//!
//! [`machine`] decides which changes are allowed, without a database. [`transactions`] carries them out: read it for the
//! rows and events that change together.

mod consumer;
mod http;
pub mod machine;
pub mod transactions;

use axum::Router;
use outbox_runtime::Outbox;
use outbox_runtime::consumer::ConsumerBuilder;
use service_kit::{Blueprint, Db, Tables};

pub use consumer::consumer;

/// The service's own tables.
pub const TABLES: Tables = &[(
    1,
    "create batches",
    include_str!("../migrations/1_create_batches.sql"),
)];

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchOrchestrator;

impl Blueprint for BatchOrchestrator {
    const TABLES: Tables = TABLES;

    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>> {
        Some(consumer(outbox, brokers))
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        http::router(outbox)
    }
}
