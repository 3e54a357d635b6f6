//! Relays as child processes, one in each slot.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::servers::process::ServerProcess;
use crate::wait_until;

/// How many relays there are at the most.
pub(super) const SLOTS: usize = 3;

/// The relays' lease: short, so that take-overs are many.
pub(super) const LEASE: Duration = Duration::from_millis(1500);

/// How long a relay may take to stop: its own deadline, and what a busy machine adds.
const STOP: Duration = Duration::from_secs(30);

/// Where a relay's connections lead.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) database_url: String,
    pub(super) brokers: String,
    pub(super) delivery: &'static str,
    /// Further arguments.
    pub(super) retention: Vec<String>,
}

/// One relay.
pub(super) struct Relay {
    number: usize,
    address: Address,
    process: Option<ServerProcess>,
    log: PathBuf,
    /// How long the log was when the process started.
    started_at: u64,
    read_to: u64,
}

impl Relay {
    pub(super) fn new(number: usize, address: Address, folder: &Path) -> Self {
        Self {
            number,
            address,
            process: None,
            log: folder.join(format!("relay-{number}.log")),
            started_at: 0,
            read_to: 0,
        }
    }

    /// Starts a process, armed with a failpoint if there is one.
    pub(super) fn start(&mut self, failpoint: Option<&str>) {
        let armed = failpoint.map(|failpoint| format!("OUTBOX_FAILPOINT={failpoint}"));
        let address = &self.address;
        let program = crate::program();
        let arguments = [
            &program.display().to_string(),
            "relay",
            "--no-dotenv",
            "--database-url",
            &address.database_url,
            "--brokers",
            &address.brokers,
            "--delivery",
            address.delivery,
            "--lease-ttl",
            &format!("{}ms", LEASE.as_millis()),
            "-X",
            "reconnect.backoff.max.ms=500",
            "-X",
            "socket.timeout.ms=10000",
        ];
        let arguments = armed.into_iter().chain(arguments.map(str::to_owned));
        let arguments = arguments.chain(address.retention.iter().cloned());
        let arguments: Vec<_> = arguments.collect();
        self.started_at = self.log_length();
        self.process = Some(ServerProcess::start(
            Path::new("env"),
            &arguments,
            None,
            &self.log,
        ));
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn freeze(&self) {
        self.running().freeze();
    }

    pub(super) fn thaw(&self) {
        if let Some(process) = &self.process {
            process.thaw();
        }
    }

    /// Asks it to stop, and does not wait for it.
    pub(super) async fn ask_to_stop(&self) {
        self.speaks().await;
        self.running().signal(Signal::TERM);
    }

    /// Asks it to stop, and says how it ended.
    ///
    /// # Errors
    /// It did not stop in time, or with another exit code than 0.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        self.speaks().await;
        process.signal(Signal::TERM);
        let ended = async {
            loop {
                if let Some(status) = process.exited() {
                    return status;
                }
                // One that was armed may have come to its place only now.
                if process.is_frozen() {
                    process.thaw();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(STOP, ended).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!(
                "relay {} was asked to stop and ended with {status}",
                self.number
            )),
            Err(_) => Err(format!("relay {} did not stop within {STOP:?}", self.number)),
        }
    }

    /// Whether it stands still.
    pub(super) fn is_frozen(&self) -> bool {
        self.process.as_ref().is_some_and(ServerProcess::is_frozen)
    }

    /// Whether there is a process, also one that stands still.
    pub(super) fn runs(&mut self) -> bool {
        self.process.is_some() && self.ended().is_none()
    }

    /// How it ended, if it did so by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.exited()
    }

    /// What it has logged since the last question.
    pub(super) fn news(&mut self) -> String {
        let mut news = Vec::new();
        let read = fs::File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.read_to))?;
            log.read_to_end(&mut news)
        });
        self.read_to += read.unwrap_or(0) as u64;
        String::from_utf8_lossy(&news).into_owned()
    }

    /// Waits for its first word: a process that has not come to it dies of any signal.
    async fn speaks(&self) {
        let speaks = async || (self.log_length() > self.started_at).then_some(());
        wait_until("a relay's first word", STOP, speaks).await;
    }

    fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    fn running(&self) -> &ServerProcess {
        self.process.as_ref().expect("the relay was started")
    }
}
