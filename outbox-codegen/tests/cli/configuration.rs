//! Wrong usage and configuration, variables, and passwords that stay out of sight.

use std::fs;
use std::net::TcpListener;

use crate::{Place, Ran};

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    let place = Place::new();
    for (arguments, words) in [
        ("", &["Usage: outbox"][..]),
        ("migrat", &["migrate"]),
        ("generate migration", &["--database"]),
        ("generate migration --database mysql", &["postgres", "sqlite"]),
        (
            "generate migration --database sqlite --schema app",
            &["no schemas", "--prefix"],
        ),
        (
            "generate migration --database postgres --prefix Out-Box",
            &["Out-Box", "lower-case letters"],
        ),
        (
            "generate migration --database postgres --check --force",
            &["--force"],
        ),
        ("status", &["--database-url", "DATABASE_URL"]),
        (
            "status --database-url mysql://host/db",
            &["mysql", "postgres://", "sqlite:"],
        ),
        ("migrate --database-url sqlite::memory:", &["memory"]),
        (
            "relay --database-url sqlite:x.db",
            &["--brokers", "KAFKA_BROKERS"],
        ),
        (
            "relay -D sqlite:x.db --brokers localhost:1 --shutdown-timeout soon",
            &["10s"],
        ),
        (
            "relay -D sqlite:x.db --brokers localhost:1 -X linger.ms",
            &["`=`", "-X key=value"],
        ),
        (
            "relay -D sqlite:x.db --brokers localhost:1 -X linger.ms=soon",
            &["linger.ms"],
        ),
        (
            "relay -D sqlite:x.db --brokers localhost:1 -X lingr.ms=5",
            &["lingr.ms"],
        ),
        (
            "relay -D postgres://localhost/x --brokers localhost:1 --delivery twice",
            &["at-least-once", "exactly-once"],
        ),
        (
            "relay -D postgres://localhost/x --brokers localhost:1 --delivery exactly-once --cursor-topic a/b",
            &["a/b"],
        ),
    ] {
        place.run(arguments).fails(2, words);
    }
}

#[test]
fn a_file_cannot_be_delivered_exactly_once() {
    let place = Place::new();
    place.run("migrate -D sqlite:app.db").done();
    place
        .run("relay -D sqlite:app.db --brokers localhost:1 --delivery exactly-once")
        .fails(2, &["PostgreSQL", "at-least-once", "inbox"]);
}

#[test]
fn properties_that_a_guarantee_rests_on_are_refused_under_all_their_names() {
    let place = Place::new();
    for (property, guarantee) in [
        ("acks=1", "in-sync replicas"),
        ("request.required.acks=1", "in-sync replicas"),
        ("enable.idempotence=false", "in order"),
        ("message.timeout.ms=1000", "given up"),
        ("delivery.timeout.ms=1000", "given up"),
        ("transactional.id=mine", "one relay is active"),
    ] {
        let key = property.split('=').next().unwrap();
        let relay = format!("relay -D sqlite:x.db --brokers localhost:1 -X {property}");
        place.run(&relay).fails(2, &[&format!("`{key}`"), guarantee]);
    }
}

#[test]
fn help_and_version_are_results() {
    let place = Place::new();
    let help = place.run("--help").done();
    assert!(help.contains("Exit codes:") && help.contains("relay"), "{help}");
    assert!(place.run("--version").done().starts_with("outbox "));
}

#[test]
fn the_url_comes_from_the_environment_or_a_dotenv_file() {
    let place = Place::new();
    fs::write(place.path().join(".env"), "DATABASE_URL=sqlite:from-file.db\n").unwrap();
    place.run("status").fails(1, &["from-file.db"]);
    let mut command = place.command("status");
    let ran = Ran::from(
        command
            .env("DATABASE_URL", "sqlite:from-variable.db")
            .output()
            .unwrap(),
    );
    ran.fails(1, &["from-variable.db"]);
    place
        .run("status -D sqlite:from-argument.db")
        .fails(1, &["from-argument.db"]);
    place.run("status --no-dotenv").fails(2, &["--database-url"]);
}

#[test]
fn an_unreadable_dotenv_file_is_not_printed() {
    let place = Place::new();
    fs::write(
        place.path().join(".env"),
        "DATABASE_URL=postgres://u:hun ter2@host/db\n",
    )
    .unwrap();
    let ran = place.run("status");
    assert!(
        !ran.stderr.contains("hun") && !ran.stderr.contains("ter2"),
        "{}",
        ran.stderr
    );
    ran.fails(2, &[".env"]);
}

#[test]
fn a_server_that_cannot_be_reached_ends_with_4() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for command in ["status", "migrate"] {
        let refused = format!("{command} -D postgres://user:hunter2@127.0.0.1:{free}/db");
        place.run(&refused).fails(
            4,
            &[
                &format!("postgres://127.0.0.1:{free}/db"),
                "because:",
                "what to do:",
            ],
        );
    }
    // GIVEN a server that accepts connections and then says nothing
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let waiting = format!("status -D postgres://user:hunter2@127.0.0.1:{port}/db --connect-timeout 200ms");
    place.run(&waiting).fails(4, &["no answer within 200ms"]);
}

#[test]
fn a_password_is_never_printed() {
    let place = Place::new();
    let urls = [
        "postgres://user:hunter2@127.0.0.1:1/db",
        "postgres://127.0.0.1:1/db?user=user&password=hunter2",
        "postgres://user:hunter2@127.0.0.1:99999/db",
        "postgres://user:hunter2@[::1/db",
        "postgres://user:hun#hunter2@127.0.0.1:1/db",
        "postgres://user:12#hunter2@127.0.0.1:1/db",
        "postgres://user:12/hunter2@127.0.0.1:1/db",
        "postgres://user:hunter2%ff@127.0.0.1:1/db",
        "postgres://user:hunter2@127.0.0.1:1/db?sslmode=nonsense",
        "postgres:/user:hunter2@127.0.0.1:1/db",
        "postgres:user:hunter2@127.0.0.1:1/db",
        "postgre://user:hunter2@127.0.0.1:1/db",
        "user:hunter2@127.0.0.1:1/db",
        "hunter2",
    ];
    for url in urls {
        for arguments in [
            "status -D",
            "migrate --database-url",
            "status --help -D",
            "status",
        ] {
            let mut command = place.command(arguments);
            let ran = Ran::from(command.arg(url).env("RUST_LOG", "trace").output().unwrap());
            // A word on its own that is no URL can only be echoed.
            let echoed = url == "hunter2" && arguments == "status";
            assert!(
                echoed || !ran.stderr.contains("hunter2"),
                "{arguments} {url}: {}",
                ran.stderr
            );
            assert!(
                !ran.stdout.contains("hunter2"),
                "{arguments} {url}: {}",
                ran.stdout
            );
        }
        let mut from_environment = place.command("relay --help");
        let ran = Ran::from(from_environment.env("DATABASE_URL", url).output().unwrap());
        assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
    }
}
