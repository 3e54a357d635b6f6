//! The options of a command line, as they are understood.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::redaction::redact;

/// An option with its value, without secrets.
#[derive(Debug, Serialize)]
pub(super) struct ShownOption {
    /// As it is written: `--lease-ttl`.
    pub(super) option: String,
    /// None: not set.
    pub(super) value: Option<String>,
    /// `flag`, `default`, or the name of a variable.
    pub(super) source: String,
}

/// The options of this command, in the order of its help. One that is required may be missing.
pub(super) fn options(command: Vec<OsString>) -> Result<Vec<ShownOption>, Failure> {
    let line: Vec<OsString> = std::iter::once("outbox".into()).chain(command).collect();
    if let Err(error) = Arguments::command().try_get_matches_from(&line)
        && !matches!(error.kind(), ErrorKind::MissingRequiredArgument)
    {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        // The line may hold a URL with its password.
        return Err(
            Failure::usage(format!("the command is not valid: {}", redact(first)))
                .advise("write it as you run it, such as `outbox config show -- relay --lease-ttl 5s`"),
        );
    }
    let lenient = Arguments::command().ignore_errors(true);
    let found = lenient.try_get_matches_from(&line);
    let found =
        found.map_err(|error| Failure::usage("the command is not valid").because(error.to_string()))?;
    Ok(of(&Arguments::command(), &found))
}

fn of(command: &clap::Command, matches: &ArgMatches) -> Vec<ShownOption> {
    if let Some((name, matches)) = matches.subcommand()
        && let Some(inner) = command.find_subcommand(name)
    {
        return of(inner, matches);
    }
    let options = command
        .get_arguments()
        .filter(|option| !is_of_every_command(option));
    options.map(|option| shown(option, matches)).collect()
}

fn is_of_every_command(option: &Arg) -> bool {
    ["help", "version", "no_dotenv"].contains(&option.get_id().as_str())
}

fn shown(option: &Arg, matches: &ArgMatches) -> ShownOption {
    let id = option.get_id().as_str();
    let name = match (option.get_long(), option.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => id.to_owned(),
    };
    let is_set = matches.try_contains_id(id).unwrap_or_default();
    let values = matches.try_get_raw(id).ok().flatten();
    let value = values.map(|values| {
        let masked = values.map(|value| masked(id, &value.to_string_lossy()));
        masked.collect::<Vec<_>>().join(" ")
    });
    let source = match matches
        .try_contains_id(id)
        .ok()
        .and_then(|_| matches.value_source(id))
    {
        Some(ValueSource::CommandLine) => "flag".to_owned(),
        Some(ValueSource::EnvVariable) => {
            let variable = option.get_env().and_then(|name| name.to_str());
            variable.unwrap_or("environment").to_owned()
        }
        Some(_) => "default".to_owned(),
        None => "not set".to_owned(),
    };
    ShownOption {
        option: name,
        value: value.filter(|_| is_set),
        source,
    }
}

/// Parts of the names of properties that hold secrets.
const SECRETS: [&str; 6] = ["password", "secret", "token", "jaas", "key.pem", "passphrase"];

/// A value as it may be printed. `name` is that of an option or a variable; a `property` is one of Kafka's.
pub(super) fn masked(name: &str, value: &str) -> String {
    if !["property", "properties"].contains(&name) {
        return redact(value);
    }
    match value.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}=***"),
        Some(_) => value.to_owned(),
        // What stands there may be a password that lost its name.
        None => "***".to_owned(),
    }
}

/// Names of files are none.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    !key.ends_with(".location") && SECRETS.iter().any(|secret| key.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_masked_and_names_of_files_are_not() {
        for (name, value, printed) in [
            ("database_url", "postgres://u:secret@h/d", "postgres:***"),
            ("DATABASE_URL", "postgres://u:secret@h/d?x=1", "postgres:***"),
            ("DATABASE_URL", "postgres://h/d?password=secret", "postgres:***"),
            ("properties", "sasl.password=secret", "sasl.password=***"),
            ("properties", "ssl.key.pem=secret", "ssl.key.pem=***"),
            ("properties", "sasl.username=alice", "sasl.username=alice"),
            (
                "properties",
                "ssl.key.location=/run/key",
                "ssl.key.location=/run/key",
            ),
            ("password_file", "/run/password", "/run/password"),
            ("lease_ttl", "6s", "6s"),
        ] {
            assert_eq!(masked(name, value), printed, "{name}");
        }
    }
}
