//! What operators decide while a log is in use: what is paused, and which mode is set. Each decision is told in the audit table, with who made it
//! and why.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod decisions;
#[cfg(feature = "postgres")]
mod modes;
pub(super) mod pauses;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use decisions::{AuditEntry, Controls, Decision};
#[cfg(feature = "postgres")]
pub use modes::{LockHolder, ModeOutlook, SwitchError, SwitchRefusal};
pub use pauses::{Pause, PauseScope, Pauses};
