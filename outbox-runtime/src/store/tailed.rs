//! Where following a log begins.

/// The start position of a [`LogTail`](crate::tail::LogTail).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TailFrom {
    /// After all messages that are committed now.
    Now,
    /// At the first message that is still in the log.
    Beginning,
    /// At this `seq`, for the messages that are committed now.
    Seq(i64),
}

impl TailFrom {
    /// Messages up to this `seq` are left out, of those that are committed now; `None`: all.
    pub(super) fn behind(self) -> Option<i64> {
        match self {
            Self::Now => None,
            Self::Beginning => Some(0),
            Self::Seq(seq) => Some(seq.saturating_sub(1).max(0)),
        }
    }
}
