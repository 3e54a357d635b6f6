//! What operators decide while a log is in use: what is paused, skipped and throttled, and
//! which mode is set. Each decision is recorded in the audit table, with who made it and why.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod decisions;
pub(super) mod interventions;
#[cfg(feature = "postgres")]
mod modes;
mod pauses;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod rewind;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod skips;
mod throttles;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod throttling;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use decisions::{AuditEntry, Controls, Decision};
pub use interventions::{Interventions, Skips};
#[cfg(feature = "postgres")]
pub use modes::{LockHolder, ModeOutlook, SwitchError, SwitchRefusal};
pub use pauses::{Pause, PauseScope, PausedKey, Pauses};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use rewind::{RewindError, RewindOutlook, RewindTo};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use skips::{Skip, SkipRequest};
pub use throttles::{Rate, Throttle, ThrottleScope, Throttles};
