//! `outbox config show`: which value is in force, and where it comes from.

mod options;
mod variables;

use serde::Serialize;
use serde_json::Value;

use self::options::{ShownOption, options};
use self::variables::{Variable, unknown, variables};
use super::print;
use crate::Exit;
use crate::arguments::{Configuration, ConfigurationCommand, ConfigurationShow};
use crate::catalog::CatalogSource;
use crate::config::{ConfigFile, Key, KeySource, keys, schema};
use crate::failure::Failure;
use crate::say::say;

/// Overrides the key of the file.
const TOPIC_PREFIX: (&str, &str) = ("topic_prefix", "OUTBOX_TOPIC_PREFIX");

pub(crate) fn run(arguments: Configuration) -> Result<Exit, Failure> {
    match arguments.what {
        ConfigurationCommand::Show(arguments) => show(arguments),
    }
}

/// What is printed; the fields are a promise to programs.
#[derive(Serialize)]
struct Shown {
    schema_version: u32,
    /// The file; null if there is none.
    file: Option<String>,
    keys: Vec<Key>,
    variables: Vec<Variable>,
    /// Options of the command; empty without one.
    options: Vec<ShownOption>,
}

fn show(arguments: ConfigurationShow) -> Result<Exit, Failure> {
    let given = CatalogSource {
        config: arguments.config,
        ..CatalogSource::default()
    };
    let file = ConfigFile::search(&given)?;
    let content = match &file {
        Some(file) => content(file)?,
        None => Value::Object(serde_json::Map::new()),
    };
    let mut keys = keys(&schema(), &content);
    let (name, variable) = TOPIC_PREFIX;
    if let (Ok(value), Some(key)) = (
        std::env::var(variable),
        keys.iter_mut().find(|key| key.key == name),
    ) {
        key.value = Some(value.into());
        key.source = KeySource::Environment;
    }
    let options = match arguments.command.is_empty() {
        true => Vec::new(),
        false => options(arguments.command)?,
    };
    for (name, meant) in unknown() {
        let hint = meant
            .map(|meant| format!("; did you mean {meant}?"))
            .unwrap_or_default();
        say(format_args!("note: nothing reads the variable {name}{hint}"));
    }
    let shown = Shown {
        schema_version: 1,
        file: file.map(|file| file.path.display().to_string()),
        keys,
        variables: variables(),
        options,
    };
    match arguments.json {
        true => print(
            serde_json::to_string(&shown)
                .map_err(|error| Failure::failed("cannot write the configuration as JSON").because(error))?,
        )?,
        false => text(&shown)?,
    }
    Ok(Exit::Done)
}

/// The file's keys; it was read once, so it is well-formed.
fn content(file: &ConfigFile) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(&file.path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`", file.path.display())).because(error))?;
    toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("cannot read `{}`", file.path.display())).because(error))
}

fn text(shown: &Shown) -> Result<(), Failure> {
    match &shown.file {
        Some(file) => print(format_args!("# {file}"))?,
        None => print("# no outbox.toml")?,
    }
    for Key { key, value, source } in &shown.keys {
        let source = match source {
            KeySource::Default => "default",
            KeySource::File => "file",
            KeySource::Environment => TOPIC_PREFIX.1,
            KeySource::NotSet => "not set",
        };
        match value {
            Some(value) => print(format_args!("{key} = {value}  # {source}"))?,
            None => print(format_args!("{key}  # {source}"))?,
        }
    }
    print("\n# variables")?;
    for Variable { name, value } in &shown.variables {
        match value {
            Some(value) => print(format_args!("{name} = {value}"))?,
            None => print(format_args!("{name}  # not set"))?,
        }
    }
    if !shown.options.is_empty() {
        print("\n# options")?;
    }
    for ShownOption {
        option,
        value,
        source,
    } in &shown.options
    {
        match value {
            Some(value) => print(format_args!("{option} = {value}  # {source}"))?,
            None => print(format_args!("{option}  # not set"))?,
        }
    }
    Ok(())
}
