//! The command line's program.

use std::path::PathBuf;

/// Where it is: built beside the tests and the other programs.
///
/// # Panics
/// If it is not built.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows where its program is");
    let program = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("outbox"))
        .find(|program| program.exists());
    program.unwrap_or_else(|| {
        panic!(
            "no program `outbox` beside {}; ./tests/run builds it",
            own.display()
        )
    })
}
