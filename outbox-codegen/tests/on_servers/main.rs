//! The `outbox` binary on real PostgreSQL and real Kafka; `./tests/run` starts them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod ajv;
mod asyncapi;
mod consumers;
mod dead_letters;
mod debezium;
mod doctor;
mod init;
mod inspect;
mod migrate;
#[path = "../outbox/mod.rs"]
mod outbox;
mod packaging;
mod relay;
mod roles;
mod runners;
mod tail;
mod topics;

use outbox::{Place, Running, status};
