//! What tests of an outbox need: a checker that compares what was committed with what was delivered.

pub mod checker;
