//! `outbox completions`: what a shell completes the command line with.

use clap::CommandFactory;

use super::print;
use crate::Exit;
use crate::arguments::{Arguments, Completions};
use crate::failure::Failure;

pub(crate) fn run(arguments: Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "outbox", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
