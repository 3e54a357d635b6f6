//! The command line's program, as its users run it.

use std::path::PathBuf;

/// The command line's program, built beside the tests.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows where it is");
    let folder = tests
        .ancestors()
        .nth(2)
        .expect("tests are built in a folder below the program's");
    let program = folder.join("outbox");
    assert!(
        program.exists(),
        "{} is not built; ./tests/run builds it",
        program.display()
    );
    program
}
