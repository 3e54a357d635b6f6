//! The catalog: what derives register, how it is found, and what does not go together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod conflicts;
mod decoding;
mod registration;
mod schemas;
