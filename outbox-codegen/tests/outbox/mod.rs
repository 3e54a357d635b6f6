//! The binary, run in a directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// An empty directory to run the command in.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command with these arguments, split at spaces, and without the variables that it would read.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
        command
            .current_dir(self.path())
            .args(arguments.split_whitespace());
        for variable in ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.command(arguments).output().unwrap().into()
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
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
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// This exit code, nothing on stdout, and these words on stderr.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
    }
}

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A command that runs until it is stopped.
pub(crate) struct Running {
    process: Child,
    log: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            // Reads on after the test has heard enough, so that the process can go on writing.
            lines
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        Self {
            process,
            log,
            said: Vec::new(),
        }
    }

    /// Waits for a line of the log with these words.
    pub(crate) fn says(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.last().is_some_and(|line| line.contains(words)) {
            let line = self
                .log
                .recv_timeout(deadline.saturating_duration_since(Instant::now()));
            self.said
                .push(line.unwrap_or_else(|_| panic!("it did not say {words:?} but {:#?}", self.said)));
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end: the exit code and stdout.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut stdout = String::new();
        self.process
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        (status.code(), stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `outbox status --json` says of a database.
pub(crate) fn status(place: &Place, url: &str) -> serde_json::Value {
    serde_json::from_str(&place.run(&format!("status --json -D {url}")).done()).unwrap()
}
