//! The `outbox` command line; everything is in the library, where it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    outbox_codegen::run(std::env::args_os()).into()
}
