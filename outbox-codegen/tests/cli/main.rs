//! The `outbox` binary as a person or a script meets it: exit codes, stdout, stderr, files. Nothing here needs a
//! server: databases are SQLite's, the broker is librdkafka's mock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod configuration;
mod generate;
mod relay;
mod sqlite;

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// An empty directory to run the command in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command with these arguments, split at spaces, and without the variables that it would read.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
        command
            .current_dir(self.path())
            .args(arguments.split_whitespace());
        for variable in ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
    }

    fn run(&self, arguments: &str) -> Ran {
        self.command(arguments).output().unwrap().into()
    }
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Exit code 0 and nothing to complain about; returns stdout.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// This exit code, nothing on stdout, and these words on stderr.
    #[track_caller]
    fn fails(self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
    }
}
