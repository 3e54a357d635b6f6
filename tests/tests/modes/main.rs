//! Modes: what reaches Kafka through the log, directly, and beside what a service publishes itself; and switches between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod direct;
mod flips;
mod report;
mod runbook;
mod scene;
mod shadow;
mod switches;
