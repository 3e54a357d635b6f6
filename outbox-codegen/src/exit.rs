//! Exit codes.

use std::process::ExitCode;

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: done, also if there was nothing to do, and after SIGTERM or SIGINT.
    Done = 0,
    /// 1: failed.
    Failed = 1,
    /// 2: wrong usage or configuration. Nothing was done.
    Usage = 2,
    /// 3: a check found differences.
    Differences = 3,
    /// 4: a one-shot command could not reach its server.
    Unreachable = 4,
}

/// The same for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  a check found differences
  4  a one-shot command could not reach its server";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
