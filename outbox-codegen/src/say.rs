//! Lines on stderr, which may have nobody left to read them: that ends no command.

use std::fmt;
use std::io::{self, Write as _};

/// Writes a line to stderr. `eprintln!` would panic where the reader is gone.
pub(crate) fn say(line: impl fmt::Display) {
    say_as_is(format_args!("{line}\n"));
}

/// Writes text that brings its own line ends to stderr.
pub(crate) fn say_as_is(text: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    // There is nowhere else to report it.
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
