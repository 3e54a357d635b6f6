//! Generators of others, run once over all schemas in a directory that goes away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::declared;
use crate::failure::Failure;

/// A program that reads schemas and writes code.
pub(super) struct Tool {
    pub(super) program: &'static str,
    /// How to get it.
    pub(super) install: &'static str,
    /// How the files end that it writes.
    pub(super) extension: &'static str,
}

impl Tool {
    /// Writes each schema to a file of its name, runs the program once, and returns what it wrote for each. `arguments`
    /// are made from the directories of the schemas and of the files that are to be written.
    pub(super) fn run(
        &self,
        schemas: &[(String, Value)],
        arguments: impl Fn(&str, &str) -> Vec<String>,
    ) -> Result<Vec<String>, Failure> {
        let broken =
            |error: io::Error| Failure::failed("cannot write or read a temporary file").because(error);
        let directory = tempfile::tempdir().map_err(broken)?;
        let below = |name: &str| directory.path().join(name);
        for name in ["in", "out"] {
            fs::create_dir(below(name)).map_err(broken)?;
        }
        for (name, schema) in schemas {
            let path = below("in").join(format!("{name}.json"));
            fs::write(path, declared::text(schema)).map_err(broken)?;
        }
        let path = |name: &str| below(name).display().to_string();
        let ran = Command::new(self.program())
            .args(arguments(&path("in"), &path("out")))
            .current_dir(directory.path())
            .output()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Failure::usage(format!("`{}` is not installed", self.program))
                    .advise(format!("install it: {}", self.install)),
                _ => Failure::failed(format!("cannot run `{}`", self.program)).because(error),
            })?;
        let refused = |what: String| {
            let said = String::from_utf8_lossy(&ran.stderr);
            Failure::failed(format!("`{}` {what}", self.program)).because(said.trim().to_owned())
        };
        if !ran.status.success() {
            return Err(refused("rejected the events' schemas".to_owned()));
        }
        let written = |(name, _): &(String, Value)| {
            fs::read_to_string(below("out").join(format!("{name}.{}", self.extension)))
                .map_err(|_| refused(format!("generated nothing for the schema of {name}")))
        };
        schemas.iter().map(written).collect()
    }

    /// The project's own, as npm installs it, before one on the path.
    fn program(&self) -> PathBuf {
        let own = Path::new("node_modules/.bin").join(self.program);
        match own.canonicalize() {
            Ok(own) => own,
            Err(_) => self.program.into(),
        }
    }
}

/// The schema under the name that the generator is to give its type.
pub(super) fn titled(schema: &Value, name: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), name.into());
    }
    schema
}
