//! The CJ Assessment Service of an essay platform: it ranks the essays of a batch by comparative judgement.
//!
//! Read [`transactions`] first: a job ends once, with its rankings and its event. [`judge`] compares two essays, and
//! [`bradley_terry`] makes strengths of the comparisons.

pub mod bradley_terry;
mod consumer;
mod http;
pub mod judge;
mod ranking;
pub mod transactions;

use axum::Router;
use outbox_runtime::Outbox;
use outbox_runtime::consumer::ConsumerBuilder;
use service_kit::{Blueprint, Db, Tables, Texts};

pub use consumer::consumer;
pub use ranking::{Essay, rank};

/// The service's own tables.
pub const TABLES: Tables = &[(1, "create jobs", include_str!("../migrations/1_create_jobs.sql"))];

/// The service.
#[derive(Debug, Clone)]
pub struct CjAssessment {
    /// Where the essays' texts are.
    pub texts: Texts,
}

impl Blueprint for CjAssessment {
    const TABLES: Tables = TABLES;

    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>> {
        Some(consumer(outbox, brokers, self.texts.clone()))
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        http::router(outbox)
    }
}
