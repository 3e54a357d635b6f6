//! The program does what it says.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use std::process::Command;

#[test]
fn a_class_is_ranked_and_every_event_arrives() {
    let ran = Command::new(env!("CARGO_BIN_EXE_platform")).output().unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{ran:?}");
    // Six essays have a rank; the seventh was refused.
    assert!(
        printed.contains("the batch is COMPLETED_WITH_FAILURES"),
        "{printed}"
    );
    assert!(printed.contains("\n   6  essay-"), "{printed}");
    assert!(
        printed.contains("Every committed event arrived, in order, and nothing else did."),
        "{printed}"
    );
}
