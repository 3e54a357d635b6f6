//! `outbox catalog` on crates of a user: compiled for real, without a line of ours in them.
//!
//! They are copied out of the workspace, and built into its target directory, so that what it has compiled is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod fixture;
mod listing;
mod missing;
#[expect(dead_code, reason = "the parts that run a relay are for the other tests")]
#[path = "../outbox/mod.rs"]
mod outbox;
mod packages;
mod sources;
mod user_errors;

use fixture::{Fixture, shop};
