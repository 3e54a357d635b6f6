//! The cases are in the folders beside this one, one folder for each kind of mistake; `tests/ui.rs` compiles them.
