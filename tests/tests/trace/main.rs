//! Spans, as OpenTelemetry sees them, on real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod batches;
mod journey;
mod otlp;
mod recorded;
mod redeliveries;
mod transactions;
