//! The cases are in the folders beside this one, one folder for each kind of error; `tests/ui.rs` compiles them.
