//! Consumers on real servers: each message acts once and in order, whatever happens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod basics;
mod crash;
mod essays;
mod foreign;
mod outages;
mod poison;
mod rebalance;
mod scene;
mod stop;
