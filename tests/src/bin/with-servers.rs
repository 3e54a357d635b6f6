//! `with-servers <command> [argument]…`: starts the servers that tests share, runs the command with their
//! addresses in its environment, and takes everything down again, whatever ends it.
//!
//! A server whose address is given in the environment is used as it is. What servers are made from is said in
//! variables that `./tests/run` sets.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use outbox_tests::servers::{KafkaServer, PostgresServer, PostgresVersion, variables};
use outbox_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Nothing in a shared server is to survive a crash, so nothing is flushed; many tests connect at once, and
/// some prepare transactions.
const SETTINGS: [(&str, &str); 4] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("max_prepared_transactions", "100"),
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // Everything temporary goes where it is removed at the end, the tests' own servers too: a test that is
    // killed removes nothing itself. PostgreSQL may run as another user and has to get at its files.
    let mut folder = tempfile::Builder::new();
    folder
        .prefix("outbox-tests-")
        .permissions(Permissions::from_mode(0o755));
    let folder = folder.tempdir().expect("a temporary folder can be made");
    let code = tokio::select! {
        code = run(folder.path(), &arguments) => code,
        signal = stop_signal() => 128 + signal,
    };
    // Servers of killed tests are on their way out, and may still write.
    let removed = || std::future::ready(fs::remove_dir_all(folder.path()).ok());
    wait_until(
        "the temporary folder to be removed",
        Duration::from_secs(30),
        removed,
    )
    .await;
    ExitCode::from(code)
}

async fn run(folder: &Path, arguments: &[String]) -> u8 {
    KafkaServer::archive_classes().await;
    let (bin_13, bin_18) = tokio::join!(
        unpacked(folder, PostgresVersion::V13),
        unpacked(folder, PostgresVersion::V18)
    );
    let (postgres, postgres_13, postgres_18, kafka) = tokio::join!(
        postgres(PostgresVersion::Distribution, PostgresVersion::Distribution.bin()),
        postgres(PostgresVersion::V13, bin_13.clone()),
        postgres(PostgresVersion::V18, bin_18.clone()),
        kafka(),
    );
    let mut command = Command::new(&arguments[0]);
    command
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .process_group(0);
    command.env("TMPDIR", folder);
    command.env(PostgresVersion::V13.bin_variable(), bin_13);
    command.env(PostgresVersion::V18.bin_variable(), bin_18);
    for (version, server) in [
        (PostgresVersion::Distribution, &postgres),
        (PostgresVersion::V13, &postgres_13),
        (PostgresVersion::V18, &postgres_18),
    ] {
        if let Some(server) = server {
            command.env(version.url_variable(), server.url());
        }
    }
    if let Some(server) = &kafka {
        command.env(variables::KAFKA_BROKERS, server.brokers());
    }
    let mut group = Group::start(command);
    let status = group
        .leader
        .wait()
        .await
        .expect("our own child can be waited for");
    let signalled = || status.signal().and_then(|signal| u8::try_from(128 + signal).ok());
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .or_else(signalled)
        .unwrap_or(1)
}

/// A shared server, unless the environment names one.
async fn postgres(version: PostgresVersion, bin: PathBuf) -> Option<PostgresServer> {
    if is_given(version.url_variable()) {
        return None;
    }
    Some(PostgresServer::start_from(bin, &SETTINGS).await)
}

/// A shared broker, unless the environment names one.
async fn kafka() -> Option<KafkaServer> {
    if is_given(variables::KAFKA_BROKERS) {
        return None;
    }
    Some(KafkaServer::start().await)
}

fn is_given(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| !value.is_empty())
}

/// Unpacks a PostgreSQL version into `folder` and returns the folder of its programs.
async fn unpacked(folder: &Path, version: PostgresVersion) -> PathBuf {
    let name = match version {
        PostgresVersion::Distribution => return version.bin(),
        PostgresVersion::V13 => "postgres-13",
        PostgresVersion::V18 => "postgres-18",
    };
    let cache = env::var(variables::CACHE).unwrap_or_else(|_| panic!("run this through ./tests/run"));
    let archive = Path::new(&cache).join(name).join("postgres-linux-x86_64.txz");
    let target = folder.join(name);
    fs::create_dir(&target).expect("a folder can be made in our own");
    let mut tar = Command::new("tar");
    tar.arg("--extract")
        .arg("--xz")
        .arg("--no-same-owner")
        .arg("--file")
        .arg(&archive);
    tar.arg("--directory").arg(&target).kill_on_drop(true);
    let status = tar.status().await.expect("tar can be started");
    assert!(status.success(), "tar could not unpack {}", archive.display());
    target.join("bin")
}

/// A command with all that it starts, killed as one when this value goes.
struct Group {
    leader: Child,
    id: Option<Pid>,
}

impl Group {
    fn start(mut command: Command) -> Self {
        let leader = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let id = leader.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { leader, id }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // No such group: all of it has ended, which is the usual case.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// The number of the signal that asks us to stop.
async fn stop_signal() -> u8 {
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    let mut hangup = signal(SignalKind::hangup()).expect("signals can be listened to");
    tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
        _ = hangup.recv() => 1,
    }
}
