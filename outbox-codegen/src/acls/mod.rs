//! Access control lists of Kafka: which rules each kind of client needs.

mod rules;
mod script;

pub(crate) use rules::{Client, Names, Rule, prefix_of, rules};
pub(crate) use script::script;
