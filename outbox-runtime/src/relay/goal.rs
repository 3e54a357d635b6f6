//! When a relay has done its work.

/// When a relay's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Somebody asks for a stop.
    Stop,
    /// Everything that is committed is settled.
    Drain,
    /// The cursor says all that is settled. Nothing more is sent but what stands between.
    CatchUp,
}
