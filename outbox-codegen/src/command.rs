//! The commands, a file for each.

pub(crate) mod adopt;
pub(crate) mod catalog;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod fork;
pub(crate) mod generate;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod migrate;
pub(crate) mod migration;
pub(crate) mod mode;
pub(crate) mod pause;
pub(crate) mod prune;
pub(crate) mod relay;
mod relocated;
pub(crate) mod rewind;
pub(crate) mod schema;
pub(crate) mod shadow;
pub(crate) mod skip;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod throttle;
pub(crate) mod top;
pub(crate) mod topics;

use std::fmt;
use std::io::{self, Write};

use crate::failure::Failure;

/// Prints a line of the result. Whoever closed the pipe has read enough.
fn print(line: impl fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed("cannot print the result").because(error))
        }
        _ => Ok(()),
    }
}
