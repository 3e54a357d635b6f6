//! The Spellcheck Service of an essay platform: it checks the spelling of essays in English and Swedish.
//!
//! Read [`transactions`] first. [`spelling`] corrects a text with Hunspell's dictionaries.

mod consumer;
mod http;
pub mod spelling;
pub mod transactions;

use std::sync::Arc;

use axum::Router;
use outbox_runtime::Outbox;
use outbox_runtime::consumer::ConsumerBuilder;
use service_kit::{Blueprint, Db, Tables, Texts};

pub use consumer::consumer;

use crate::spelling::Dictionaries;

/// The service's own tables.
pub const TABLES: Tables = &[(1, "create jobs", include_str!("../migrations/1_create_jobs.sql"))];

/// The service.
#[derive(Debug, Clone)]
pub struct Spellcheck {
    /// Where the essays' texts are.
    pub texts: Texts,
    /// What is spelled how.
    pub dictionaries: Arc<Dictionaries>,
}

impl Blueprint for Spellcheck {
    const TABLES: Tables = TABLES;

    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>> {
        Some(consumer(
            outbox,
            brokers,
            self.texts.clone(),
            Arc::clone(&self.dictionaries),
        ))
    }

    fn router(&self, outbox: Outbox<Db>) -> Router {
        http::router(outbox)
    }
}
