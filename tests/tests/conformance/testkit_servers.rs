//! Servers that the test kit starts by itself, in test processes whose environment names none.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_runtime::{OutboxEvent, OutboxTx, transactional};
use outbox_tests::servers::{PostgresVersion, variables};
use outbox_tests::wait_until;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Sqlite};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(120);
/// Where the process that tests the test kit waits for its end.
const STAY: &str = "OUTBOX_TESTKIT_STAY";

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.started.v1", aggregate = "server", key = number)]
struct StartedV1 {
    number: i64,
}

#[transactional]
async fn start(tx: &mut OutboxTx<'_, Postgres>, number: i64) -> Result<(), outbox_runtime::Error> {
    tx.emit(StartedV1 { number }).map(drop)
}

/// One of the ignored tests below, in a process of its own that knows no servers; its temporary files go to `folder`.
fn process(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a process knows where its program is"));
    command
        .args(["--exact", &format!("testkit_servers::{test}")])
        .args(["--ignored", "--nocapture"])
        .env_remove(variables::DATABASE_URL)
        .env_remove(variables::KAFKA_BROKERS)
        .env("TMPDIR", folder)
        .env("OUTBOX_TEST_POSTGRES_BIN", PostgresVersion::Distribution.bin())
        .env("KAFKA_HOME", "")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A folder that everybody may write in, as temporary folders are.
fn temporary() -> TempDir {
    // The test runner's own may be closed to the user that PostgreSQL runs as.
    let folder = tempfile::tempdir_in("/tmp").expect("a temporary folder can be made");
    // Not when it is made, where the umask takes rights away.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("the folder can be opened");
    folder
}

async fn said(mut command: Command) -> (bool, String) {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.expect("the process ends").expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Waits until servers in this folder have removed all that they had.
async fn is_empty(folder: &Path) {
    let empty = || {
        let left = fs::read_dir(folder).expect("the folder is there").count();
        std::future::ready((left == 0).then_some(()))
    };
    wait_until("the servers' folders to be removed", LIMIT, empty).await;
}

async fn ask(test: &TestOutbox<Postgres>, sql: &'static str) -> String {
    let answer = sqlx::query_scalar(sql).fetch_one(test.pool()).await;
    answer.expect("the server answers")
}

#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn on_postgres() {
    let new = TestOutbox::<Postgres>::new;
    let (one, other) = tokio::join!(new(), new());
    start(one.outbox(), 1).await.expect("it commits");
    one.assert_emitted::<StartedV1>(|event| event.number == 1).await;
    other.assert_nothing_else().await;
    let folder = "SELECT current_setting('data_directory')";
    assert_eq!(ask(&one, folder).await, ask(&other, folder).await, "two servers");
    println!("\nrunning in {}", ask(&one, folder).await);
    if std::env::var_os(STAY).is_some() {
        std::future::pending().await
    }
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn on_kafka() {
    let new = TestBroker::real_kafka;
    let (one, other) = tokio::join!(new(), new());
    assert_eq!(one.brokers(), other.brokers());
    let test = TestOutbox::<Sqlite>::new().await.with_broker(&one);
    let emitted = test
        .outbox()
        .transaction(async |tx| tx.emit(StartedV1 { number: 1 }));
    emitted.await.expect("it commits");
    test.relay_until_empty().await;
    assert_eq!(test.consume::<StartedV1>(1).await, [StartedV1 { number: 1 }]);
    println!("\nrunning at {}", one.brokers());
}

#[tokio::test]
async fn tests_of_a_process_share_a_postgres_of_their_own() {
    for version in PostgresVersion::ALL {
        let folder = temporary();
        let mut command = process("on_postgres", folder.path());
        command.env("OUTBOX_TEST_POSTGRES_BIN", version.bin());
        let (succeeded, said) = said(command).await;
        let running = format!("running in {}", folder.path().display());
        assert!(succeeded && said.contains(&running), "{version:?}: {said}");
        is_empty(folder.path()).await;
    }
}

#[tokio::test]
async fn a_killed_test_leaves_no_postgres_behind() {
    let folder = temporary();
    let mut command = process("on_postgres", folder.path());
    let mut test = command
        .env(STAY, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(test.stdout.take().expect("it is piped")).lines();
    let data = loop {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let line = line.expect("it says something").expect("lines can be read");
        let line = line.expect("it says where the server runs");
        if let Some(data) = line.strip_prefix("running in ") {
            break data.to_owned();
        }
    };
    assert!(Path::new(&data).starts_with(folder.path()), "it runs in {data}");
    let status = fs::read_to_string(format!("{data}/postmaster.pid")).expect("the server says who it is");
    let server = format!("/proc/{}", status.lines().next().expect("it has a number"));
    assert!(Path::new(&server).exists(), "{server} does not run");
    test.kill().await.expect("it can be killed");
    is_empty(folder.path()).await;
    let gone = || std::future::ready((!Path::new(&server).exists()).then_some(()));
    wait_until("the server to be gone", LIMIT, gone).await;
}

#[tokio::test]
async fn without_a_postgres_all_ways_to_one_are_named() {
    let folder = temporary();
    let mut command = process("on_postgres", folder.path());
    command.env("OUTBOX_TEST_POSTGRES_BIN", "");
    let (succeeded, said) = said(command).await;
    assert!(!succeeded, "{said}");
    for way in ["DATABASE_URL", "OUTBOX_TEST_POSTGRES_BIN", "`testcontainers`"] {
        assert!(said.contains(way), "{way} is not named: {said}");
    }
}

#[tokio::test]
async fn a_postgres_that_does_not_start_says_why() {
    let folder = temporary();
    let mut command = process("on_postgres", folder.path());
    command.env("OUTBOX_TEST_POSTGRES_BIN", "/nonexistent");
    let (succeeded, said) = said(command).await;
    assert!(!succeeded, "{said}");
    assert!(
        said.contains("PostgreSQL does not start from /nonexistent"),
        "{said}"
    );
    assert!(said.contains("/nonexistent/initdb: not found"), "{said}");
    is_empty(folder.path()).await;
}

#[tokio::test]
async fn tests_of_a_process_share_a_kafka_of_their_own() {
    let folder = temporary();
    let home = temporary();
    let libs = std::env::var(variables::KAFKA_LIBS).expect("run the tests through ./tests/run");
    symlink(libs, home.path().join("libs")).expect("a link can be made");
    let mut command = process("on_kafka", folder.path());
    command.env("KAFKA_HOME", home.path());
    let (succeeded, said) = said(command).await;
    assert!(succeeded && said.contains("running at 127.0.0.1:"), "{said}");
    is_empty(folder.path()).await;
}

#[tokio::test]
async fn without_a_kafka_all_ways_to_one_are_named() {
    let folder = temporary();
    let (succeeded, said) = said(process("on_kafka", folder.path())).await;
    assert!(!succeeded, "{said}");
    for way in ["KAFKA_BROKERS", "KAFKA_HOME", "`testcontainers`"] {
        assert!(said.contains(way), "{way} is not named: {said}");
    }
}
