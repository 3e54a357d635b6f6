//! What both macros accept, and what it means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod attributes;
mod constants;
mod enums;
mod errors;
mod functions;
mod handlers;
mod hygiene;
mod levels;
mod methods;
mod outbox;
mod structs;
