//! Messages as they come from a topic or from elsewhere, and what becomes of them.
//!
//! `message` is a record that was received, `structured` reads CloudEvents in structured mode, and `identity` is what the
//! inbox knows a message by. `processed` is the result of handling one, and `dead_letter` one that was given up.

#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "without a database there are none")
)]
pub(crate) mod dead_letter;
pub(crate) mod identity;
pub(crate) mod message;
pub(crate) mod processed;
#[cfg(feature = "kafka")]
mod structured;
