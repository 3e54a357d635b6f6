//! The write path on real databases: what is committed, and that events and rows are so together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod shop;
mod sqlite;
