//! What operators decide while a log is in use: what is paused. Each decision is told in the audit table, with who made it
//! and why.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod decisions;
pub(super) mod pauses;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use decisions::{AuditEntry, Controls, Decision};
pub use pauses::{Pause, PauseScope, Pauses};
