//! The write path on real databases: what is committed, and that rows and events are so together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]
#![allow(clippy::duplicate_mod, reason = "the cases in `both` run on both databases")]

mod postgres;
mod shop;
mod sqlite;
