//! Commands whose stdout or stderr nobody reads any more.

use std::io::pipe;
use std::process::{Command, Stdio};
use std::time::Duration;

use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use outbox_tests::{TestDatabase, program, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(120);

/// A pipe without a reader.
fn closed() -> Stdio {
    let (_, writer) = pipe().unwrap();
    writer.into()
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(program::program());
    command
        .args(arguments.split_whitespace())
        .arg("--no-dotenv")
        .stdin(Stdio::null())
        .stdout(closed())
        .stderr(closed());
    for variable in ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// Each command, done and failing, with both pipes closed: it ends as it would with a reader.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_ends_otherwise_for_want_of_a_reader() {
    let database = TestDatabase::postgres().await;
    let (url, brokers) = (database.url(), brokers());
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "postgres://postgres@127.0.0.1:1/none";
    let cases = [
        (format!("status -D {url}"), 0),
        (format!("status -D {url} --json"), 0),
        (format!("status -D {nowhere}"), 4),
        (format!("relay -D {url} --brokers {brokers} --until-empty"), 0),
        (format!("relay -D {url} --brokers {brokers} -X acks=1"), 2),
        (format!("dead-letters list -D {url}"), 0),
        (format!("dead-letters replay --all -D {url}"), 0),
        (format!("dead-letters discard -D {url}"), 2),
        (format!("migrate -D {url}"), 0),
        (format!("migrate -D {nowhere}"), 4),
        (format!("migration check -D {url}"), 0),
        (format!("migration check -D {url} --prefix none_"), 3),
        // The server of the tests has fsync off.
        (format!("doctor -D {url}"), 3),
        (format!("tail -D {url} --from beginning --no-follow"), 0),
        (format!("adopt -D {url}"), 0),
        (format!("fork -D {url}"), 2),
        (
            "generate migration --database postgres --dir migrations".to_owned(),
            0,
        ),
        ("catalog --manifest-path none.toml".to_owned(), 2),
        (
            format!("topics plan --brokers {brokers} --manifest-path none.toml"),
            2,
        ),
        ("completions bash".to_owned(), 0),
        ("no-such-command".to_owned(), 2),
        ("status".to_owned(), 2),
    ];
    for (arguments, code) in cases {
        let mut command = command(&arguments);
        let status = command.current_dir(folder.path()).status().unwrap();
        // A panic would be 101.
        assert_eq!(status.code(), Some(code), "{arguments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_goes_on_when_the_reader_of_its_log_is_gone() {
    for mode in ["at-least-once", "exactly-once"] {
        let (database, topic) = (TestDatabase::postgres().await, Topic::create("pipes", 1).await);
        let relay = format!(
            "relay --delivery {mode} -D {} --brokers {}",
            database.url(),
            brokers()
        );
        // So that each step has something to say.
        let mut relay = command(&relay).env("RUST_LOG", "debug").spawn().unwrap();
        for number in 1..=3_usize {
            let insert =
                "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                          VALUES ('order', '1', 'OrderPlacedV1', $1, '1')";
            sqlx::query(insert)
                .bind(topic.name())
                .execute(&database.pool)
                .await
                .unwrap();
            wait_until("a record to be delivered", LIMIT, async || {
                (topic.read_committed().await.len() == number).then_some(())
            })
            .await;
            assert!(relay.try_wait().unwrap().is_none(), "{mode}: the relay ended");
        }
        let id = i32::try_from(relay.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        let ended = tokio::task::spawn_blocking(move || relay.wait());
        let ended = tokio::time::timeout(LIMIT, ended).await.expect("the relay ends");
        assert_eq!(ended.unwrap().unwrap().code(), Some(0), "{mode}");
    }
}
