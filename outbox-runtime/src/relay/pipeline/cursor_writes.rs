//! When the cursor is written, and with what.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::Mark;

/// What of the cursor was written, and when it is written next.
pub(super) struct CursorWrites {
    next_at: Instant,
    asked: Option<Mark>,
    /// The log was found to end here: the window behind `asked` can be closed.
    end_reached: bool,
}

/// How far records are settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct SettledTo {
    /// `None` if nothing of the last window is.
    pub(super) mark: Option<Mark>,
    /// Nothing is in flight or pending.
    pub(super) all: bool,
}

impl CursorWrites {
    pub(super) fn new() -> Self {
        Self {
            next_at: Instant::now(),
            asked: None,
            end_reached: false,
        }
    }

    /// A page was read.
    pub(super) fn page_read(&mut self) {
        self.end_reached = false;
    }

    /// Nothing else is committed.
    pub(super) fn end_reached(&mut self) {
        self.end_reached = true;
    }

    /// Whether the log was found to end where reading is.
    pub(super) fn is_at_end(&self) -> bool {
        self.end_reached
    }

    /// When there is something to write that was not asked for; `None` if there is nothing.
    pub(super) fn due(&self, settled: SettledTo) -> Option<Instant> {
        let moved = settled.mark.is_some() && settled.mark != self.asked;
        let closes = self.end_reached && self.asked.is_some() && settled.all;
        (moved || closes).then_some(self.next_at)
    }

    /// What is written now, if anything. The next write comes after `interval`.
    pub(super) fn write(&mut self, settled: SettledTo, interval: Duration) -> Option<Mark> {
        let mark = self.last(settled);
        if mark.is_some() {
            let closes = self.end_reached && settled.all;
            self.asked = mark.filter(|_| !closes);
        }
        self.next_at = Instant::now() + interval;
        mark
    }

    /// What is written last, at the end of a run.
    pub(super) fn last(&self, settled: SettledTo) -> Option<Mark> {
        settled.mark.or(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(seq: i64, all: bool) -> SettledTo {
        let mark = Some(Mark { window: 1, seq });
        SettledTo { mark, all }
    }

    #[test]
    fn each_mark_is_written_once() {
        let mut writes = CursorWrites::new();
        assert!(
            writes
                .due(SettledTo {
                    mark: None,
                    all: true
                })
                .is_none()
        );
        assert!(writes.due(settled(5, false)).is_some());
        let written = writes.write(settled(5, false), Duration::ZERO);
        assert_eq!(written, settled(5, false).mark);
        assert!(writes.due(settled(5, false)).is_none());
        assert!(writes.due(settled(6, false)).is_some());
    }

    #[test]
    fn a_window_is_closed_once_at_the_end_of_the_log() {
        let mut writes = CursorWrites::new();
        writes.write(settled(5, false), Duration::ZERO);
        writes.end_reached();
        assert!(writes.due(settled(5, false)).is_none(), "something is in flight");
        let closed = SettledTo {
            mark: None,
            all: true,
        };
        assert!(writes.due(closed).is_some());
        assert_eq!(writes.write(closed, Duration::ZERO), settled(5, false).mark);
        assert!(writes.due(closed).is_none());
    }
}
