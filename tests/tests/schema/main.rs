//! The tables' definition, applied by everything that applies migrations, on both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod files;
mod postgres;
mod sqlite;
