//! Metrics: what an exporter shows is what happened, on real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod all;
mod delivery;
mod exposition;
mod log;
mod program;
mod prometheus;
mod scene;
