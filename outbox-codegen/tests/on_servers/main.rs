//! The `outbox` binary on real PostgreSQL and real Kafka; `./tests/run` starts them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod dead_letters;
mod migrate;
#[path = "../outbox/mod.rs"]
mod outbox;
mod relay;

use outbox::{Place, Running, status};
