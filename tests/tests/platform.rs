//! The example services on PostgreSQL and Kafka, each a process: `platform` built with the feature `postgres`.
//!
//! Its checker is that of the torture harness; it compares all databases with all topics, counts effects, and compares
//! rankings with those that one process finds without any event. It exits with 0 if all is right.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox_tests::servers::{KafkaServer, PostgresServer, PostgresVersion};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::process::Command;

/// Built by `./tests/run` beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = folder.join("platform-postgres");
    assert!(
        program.exists(),
        "{} is not built: run the tests through ./tests/run",
        program.display()
    );
    program
}

/// So many essays, no two of which are equally good.
fn essays(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..count {
        let words = (0..60 + number * 5).map(|word| match word % 12 {
            11 => format!("w{}. ", word % (20 + number)),
            _ => format!("w{} ", word % (20 + number)),
        });
        let path = folder.path().join(format!("essay-{number:02}.txt"));
        std::fs::write(path, words.collect::<String>()).unwrap();
    }
    folder
}

fn platform(database_url: &str, brokers: &str, essays: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args([
            "--dictionaries",
            "/nonexistent",
            "--database-url",
            database_url,
            "--brokers",
            brokers,
        ])
        .arg("--essays")
        .arg(essays)
        .arg("--page")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("platform-postgres.html"))
        .args(arguments)
        .kill_on_drop(true);
    command
}

async fn right(mut command: Command, batches: usize) -> String {
    let ran = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let ranked = format!("{batches} of {batches} batches have the ranking that their essays deserve.");
    assert!(printed.contains(&ranked), "{printed}");
    printed
}

/// Thirty essays, two of which are none; each request comes twice, and each record three times.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_essays_of_which_two_are_refused_are_ranked_once() {
    let essays = essays(28);
    let (database_url, brokers) = (
        std::env::var("DATABASE_URL").expect("./tests/run sets it"),
        std::env::var("KAFKA_BROKERS").expect("./tests/run sets it"),
    );
    let command = platform(&database_url, &brokers, essays.path(), &["--again"]);
    let printed = right(command, 1).await;
    // 30 files added; 28 texts, slots, requests and checks; 2 refusals; 8 events of the batch.
    assert!(
        printed.contains("committed 152 events; 456 records arrived, of which 304 came again"),
        "{printed}"
    );
}

/// Ten batches while each service, some relays and the connections to some databases are killed; beside that, the database
/// server and the broker are. Minutes: `./tests/run --test platform -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn ten_batches_are_ranked_while_everything_is_killed() {
    let essays = essays(28);
    let mut postgres = PostgresServer::start(PostgresVersion::Distribution).await;
    let mut kafka = KafkaServer::start().await;
    let (database_url, brokers) = (postgres.url(), kafka.brokers());
    let seed = rand::random_range(0..10_000);
    println!("--seed {seed}");
    let arguments = ["--chaos", "--batches", "10", "--seed", &seed.to_string()];
    let command = platform(&database_url, &brokers, essays.path(), &arguments);
    let mut random = StdRng::seed_from_u64(seed);
    let kill = async {
        // The databases are created first.
        let mut pauses = [12, 8, 8, 8].into_iter().cycle();
        for server in ["PostgreSQL", "Kafka", "PostgreSQL", "Kafka"] {
            let pause =
                Duration::from_millis(pauses.next().unwrap_or(8) * 1_000 + random.random_range(0..3_000));
            tokio::time::sleep(pause).await;
            println!("{server} is killed");
            match server {
                "Kafka" => {
                    kafka.kill();
                    kafka.restart().await;
                }
                _ => {
                    postgres.kill();
                    postgres.restart().await;
                }
            }
        }
    };
    let (printed, ()) = tokio::join!(right(command, 10), kill);
    println!("{printed}");
}
