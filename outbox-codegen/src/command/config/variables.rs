//! Variables of the environment that some option reads.

use std::collections::BTreeSet;

use clap::CommandFactory;
use serde::Serialize;

use super::options::masked;
use crate::arguments::Arguments;
use crate::config::closest;
use crate::properties;

/// A variable and its value, without secrets.
#[derive(Debug, Serialize)]
pub(super) struct Variable {
    pub(super) name: String,
    /// None: not set.
    pub(super) value: Option<String>,
}

/// All variables that are read, in the order of their names. Those of a `.env` file are among them.
pub(super) fn variables() -> Vec<Variable> {
    let value = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(match name {
            properties::VARIABLE => {
                let lines: Vec<String> = value.lines().map(|line| masked("property", line)).collect();
                lines.join(" ")
            }
            _ => masked(name, &value),
        })
    };
    let known = known().into_iter();
    known
        .map(|name| Variable {
            value: value(&name),
            name,
        })
        .collect()
}

/// Variables that look like ours and that nothing reads, with the one that may have been meant.
pub(super) fn unknown() -> Vec<(String, Option<String>)> {
    let known: Vec<String> = known().into_iter().collect();
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("OUTBOX_") && !known.contains(name))
        .map(|name| {
            let meant = closest(&name, &known);
            (name, meant)
        })
        .collect()
}

fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = [properties::VARIABLE, "RUST_LOG"].map(str::to_owned).into();
    collect(&Arguments::command(), &mut known);
    known
}

fn collect(command: &clap::Command, known: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(variables.filter_map(|name| name.to_str()).map(str::to_owned));
    for inner in command.get_subcommands() {
        collect(inner, known);
    }
}
