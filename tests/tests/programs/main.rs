//! Programs as people write them: each compiles, and its row says what it should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod functions;
mod keys;
mod methods;
mod routes;
mod shapes;
mod support;
