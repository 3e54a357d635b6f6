//! The command line's program: where it is, how it ended, and one that runs on.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Longer than a lease, a transaction that nobody ends, and a start on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Where it is: built beside the tests and the other programs.
///
/// # Panics
/// If it is not built.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows where its program is");
    let program = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("outbox"))
        .find(|program| program.exists());
    program.unwrap_or_else(|| {
        panic!(
            "no program `outbox` beside {}; ./tests/run builds it",
            own.display()
        )
    })
}

/// Whether the program can die at named places of its code. A fault that waits for one meets nothing in a program that
/// was built without them.
///
/// # Panics
/// If it cannot be read.
pub fn has_failpoints() -> bool {
    let program = std::fs::read(program()).expect("the program can be read");
    memchr::memmem::find(&program, b"OUTBOX_FAILPOINT").is_some()
}

/// The program with these arguments, split at spaces, and with nothing of the surroundings: what it says is piped, and
/// it does not outlive its test.
pub fn command(arguments: &str) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments.split_whitespace())
        .arg("--no-dotenv")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that: errors, and its log.
    pub stderr: String,
}

impl Ran {
    /// Runs it to its end.
    ///
    /// # Panics
    /// If it does not end within two minutes.
    pub async fn of(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::spawn(command).ended().await
    }

    /// Exit code 0; returns stdout.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// This exit code, and these words on stderr.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
    }
}

/// A command that runs on, and its log.
pub struct Running {
    process: Child,
    log: Log,
}

/// What a command says. If its test fails, the failure shows it.
struct Log {
    lines: Lines<BufReader<ChildStderr>>,
    said: String,
}

impl Log {
    /// The next line, and whether there is one.
    async fn next(&mut self) -> Option<&str> {
        let line = self.lines.next_line().await.expect("the log can be read")?;
        let from = self.said.len();
        self.said += &line;
        self.said += "\n";
        self.said.get(from..)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            while self.next().now_or_never().flatten().is_some() {}
            eprintln!("the log of the command:\n{}", self.said);
        }
    }
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not start, or its stderr is not piped.
    pub fn start(mut command: Command) -> Self {
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("the command starts");
        let log = process.stderr.take().expect("its log is piped");
        Self {
            process,
            log: Log {
                lines: BufReader::new(log).lines(),
                said: String::new(),
            },
        }
    }

    /// Waits for a line of the log with these words.
    ///
    /// # Panics
    /// If none comes within two minutes, or it ends before.
    pub async fn says(&mut self, words: &str) {
        let listening = async {
            while let Some(line) = self.log.next().await {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it ended without {words:?}");
        };
        let heard = tokio::time::timeout(LIMIT, listening).await;
        assert!(heard.is_ok(), "it did not say {words:?}");
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(id, signal).expect("it can be signalled");
    }

    /// kill -9
    ///
    /// # Panics
    /// If it cannot be killed.
    pub async fn kill(mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Panics
    /// If it had ended before, or does not within two minutes.
    pub async fn stop(self) -> Ran {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// How it ended by itself.
    ///
    /// # Panics
    /// If it does not within two minutes.
    pub async fn ended(mut self) -> Ran {
        let logged = async { while self.log.next().await.is_some() {} };
        let ending = async { tokio::join!(self.process.wait_with_output(), logged).0 };
        let output = tokio::time::timeout(LIMIT, ending).await.expect("it ends");
        let output = output.expect("it can be waited for");
        Ran {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).expect("it writes text"),
            stderr: std::mem::take(&mut self.log.said),
        }
    }
}
