//! Generators of others, run over schemas in a directory that goes away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;

/// A program that reads a schema and writes code.
pub(super) struct Tool {
    pub(super) program: &'static str,
    /// How to get it.
    pub(super) install: &'static str,
}

impl Tool {
    /// Writes `schema` to a file, runs the program, and returns what it wrote. `arguments` are made from the paths of
    /// the schema and of the file that is to be written.
    pub(super) fn run(
        &self,
        name: &str,
        extension: &str,
        schema: &Value,
        arguments: impl Fn(&str, &str) -> Vec<String>,
    ) -> Result<String, Failure> {
        let broken =
            |error: io::Error| Failure::failed("a temporary file cannot be written or read").because(error);
        let directory = tempfile::tempdir().map_err(broken)?;
        let path = |extension: &str| {
            directory
                .path()
                .join(format!("{name}.{extension}"))
                .display()
                .to_string()
        };
        let (input, output) = (path("json"), path(extension));
        fs::write(&input, schema.to_string()).map_err(broken)?;
        let ran = Command::new(self.program())
            .args(arguments(&input, &output))
            .current_dir(directory.path())
            .output()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Failure::usage(format!("`{}` is not installed", self.program))
                    .advise(format!("install it: {}", self.install)),
                _ => Failure::failed(format!("`{}` cannot be run", self.program)).because(error),
            })?;
        if !ran.status.success() {
            return Err(
                Failure::failed(format!("`{}` did not take the schema of {name}", self.program))
                    .because(String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
            );
        }
        fs::read_to_string(output).map_err(broken)
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
