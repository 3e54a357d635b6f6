//! The binary: what signals do to it.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use file_service::events::EssayContentProvisionedV1;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::running::{LIMIT, Running, accepted, borrowed, many};

/// A file service in a process of its own.
struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Process {
    async fn start(running: &Running, workers: usize) -> Self {
        let mut command = Command::new(binary());
        command
            .env("DATABASE_URL", running.database_url())
            .env("KAFKA_BROKERS", running.test.broker().brokers())
            .env_remove("RUST_LOG")
            .arg("--content-dir")
            .arg(running.content_dir())
            .args([
                "--listen",
                "127.0.0.1:0",
                "--claim",
                "1",
                "--workers",
                &workers.to_string(),
            ])
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if running.mock {
            command.arg("--mock-brokers");
        }
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = tokio::time::timeout(LIMIT, log.next_line()).await;
            let line = line.expect("it says where it listens").unwrap();
            let line = line.expect("it listens before it ends");
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.trim().to_owned();
            }
        };
        Self { child, log, address }
    }

    /// Sends a signal and waits for the end.
    async fn end(mut self, signal: Signal) -> ExitStatus {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        self.ended().await.0
    }

    /// How it ended, and what it had said.
    async fn ended(&mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        while let Ok(Some(line)) = self.log.next_line().await {
            said += &line;
            said.push('\n');
        }
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await;
        (status.expect("it ends").unwrap(), said)
    }
}

/// Built by `./tests/run` beside the tests.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = folder.join("file-service");
    assert!(
        binary.exists(),
        "{} is not built: run the tests through ./tests/run",
        binary.display()
    );
    binary
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_well_and_doubles_nothing() {
    let mut running = Running::stopped_with_kafka().await;
    let process = Process::start(&running, 1).await;
    let files = many(50);
    let url = running.files_url_at(&process.address);
    let ids = accepted(running.upload_to(&url, &borrowed(&files)).send().await.unwrap()).await;
    let status = process.end(Signal::TERM).await;
    assert!(status.success(), "{status}");

    running.start_again(|_| {}).await;
    running.processed().await;
    running.announced_once(&ids).await;
    running.test.consume::<EssayContentProvisionedV1>(50).await;
    running.stop().await;
    let topic = "huleedu.file.essay.content.provisioned.v1".to_owned();
    let mut records = running.test.broker().records(&[topic]).await;
    records.retain(|record| {
        ids.iter()
            .any(|id| record.key() == Some(id.to_string().as_bytes()))
    });
    assert_eq!(records.len(), 50, "an event came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_accepted() {
    let mut running = Running::stopped_with_kafka().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let process = Process::start(&running, 2).await;
        let files = many(40);
        let url = running.files_url_at(&process.address);
        ids.extend(accepted(running.upload_to(&url, &borrowed(&files)).send().await.unwrap()).await);
        process.end(Signal::KILL).await;
    }
    running.start_again(|_| {}).await;
    running.processed().await;
    running.announced_once(&ids).await;
    running.test.consume::<EssayContentProvisionedV1>(120).await;
}

/// Another version of the toolkit was here: events would be written that nobody sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_relay_cannot_go_on_ends_and_says_why() {
    let running = Running::stopped_with_kafka().await;
    let mut process = Process::start(&running, 1).await;
    let pool = running.test.pool();
    sqlx::query("UPDATE outbox_schema SET version = 99, oldest_program = 99")
        .execute(pool)
        .await
        .unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'outbox-relay'";
    let cutting = async {
        // It may be connecting just now.
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            ticks.tick().await;
            sqlx::query(cut).execute(pool).await.unwrap();
        }
    };
    let (status, said) = tokio::select! {
        ended = process.ended() => ended,
        () = cutting => unreachable!("it cuts for ever"),
    };
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("99"), "{said}");
}
