//! Variables from a `.env` file, as sqlx-cli reads them.

use std::ffi::OsString;

use crate::failure::Failure;

/// Loads `.env` from this directory or one above it, unless `--no-dotenv` is among the arguments. Variables
/// that are set already win; no file is no error.
pub(crate) fn load(arguments: &[OsString]) -> Result<(), Failure> {
    if arguments.iter().any(|argument| argument == "--no-dotenv") {
        return Ok(());
    }
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The error holds the whole line, which may be a URL with its password.
        Err(dotenvy::Error::LineParse(..)) => Err(Failure::usage("cannot read a line of the `.env` file")
            .advise("write NAME=value, with quotes around a value that has spaces, or pass --no-dotenv")),
        Err(error) => Err(Failure::usage("cannot read the `.env` file").because(error)),
    }
}
