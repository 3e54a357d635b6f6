//! What `outbox schema check` says of two versions of a type has to be what serde does with their values.
//!
//! Each pair is compiled: real attributes, real schemas, real data.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "types that are only there for their attributes, and a panic is a test's report"
)]

#[allow(unreachable_pub, clippy::all, reason = "written by the build script")]
mod drawn;
mod judge;
mod known;
