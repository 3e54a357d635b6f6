//! The test kit's servers in containers. Only who has Docker can start some: `cargo test -p outbox-runtime --features
//! postgres,kafka,testcontainers --test testkit_containers -- --ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is a test's report"
)]

use std::process::Command;

use serde::{Deserialize, Serialize};
use sqlx::Postgres;

use outbox_runtime::OutboxEvent;
use outbox_runtime::testkit::{TestBroker, TestOutbox};

#[derive(Debug, PartialEq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = "testkit.contained.v1", aggregate = "server", key = number)]
struct ContainedV1 {
    number: i64,
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn postgres_in_a_container() {
    let test = TestOutbox::<Postgres>::new().await;
    let emitted = test
        .outbox()
        .transaction(async |tx| tx.emit(ContainedV1 { number: 1 }));
    emitted.await.unwrap();
    test.assert_emitted::<ContainedV1>(|event| event.number == 1)
        .await;
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn kafka_in_a_container() {
    let broker = TestBroker::real_kafka().await;
    let test = TestOutbox::<Postgres>::new().await.with_broker(&broker);
    let emitted = test
        .outbox()
        .transaction(async |tx| tx.emit(ContainedV1 { number: 1 }));
    emitted.await.unwrap();
    test.relay_until_empty().await;
    assert_eq!(test.consume::<ContainedV1>(1).await, [ContainedV1 { number: 1 }]);
}

/// What one of the tests above says in a process that finds no server and no Docker.
fn without_docker(test: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_remove("DATABASE_URL")
        .env_remove("KAFKA_BROKERS")
        .env("OUTBOX_TEST_POSTGRES_BIN", "")
        .env("KAFKA_HOME", "")
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn without_docker_the_error_names_all_ways_to_a_server() {
    for (test, name, ways) in [
        (
            "postgres_in_a_container",
            "PostgreSQL",
            ["DATABASE_URL", "OUTBOX_TEST_POSTGRES_BIN"],
        ),
        ("kafka_in_a_container", "Kafka", ["KAFKA_BROKERS", "KAFKA_HOME"]),
    ] {
        let said = without_docker(test);
        assert!(
            said.contains(&format!("{name} does not start in a container: ")),
            "{said}"
        );
        assert!(said.contains("start Docker"), "{said}");
        for way in ways {
            assert!(said.contains(way), "{way} is not named: {said}");
        }
    }
}
