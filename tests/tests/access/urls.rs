//! Forms of a database's URL, and what stands in for its parts.

use std::os::unix::fs::PermissionsExt;

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::{PostgresServer, PostgresVersion, brokers};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

async fn run(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_options_and_variables_lead_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    // The server runs as another user, and a folder is made with the umask taken off.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let socket = folder.path().display().to_string();
    let settings = [("unix_socket_directories", socket.as_str())];
    let server = PostgresServer::start_with(PostgresVersion::Distribution, &settings).await;
    let (port, topic) = (server.port(), Topic::create("urls", 1).await);
    run(&server.url(), "CREATE SCHEMA shop").await;
    let insert = format!(
        "INSERT INTO shop.outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
         VALUES ('order', '1', 'OrderPlacedV1', '{}', '1')",
        topic.name()
    );
    let options = "options=-c%20search_path%3Dshop";
    let encoded = socket.replace('/', "%2F");
    let variables = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port.to_string()),
        ("PGUSER", "postgres"),
    ];
    for (url, variables) in [
        (format!("{}?{options}", server.url()), &[][..]),
        (
            format!("postgres:///postgres?user=postgres&host={socket}&port={port}&{options}"),
            &[],
        ),
        (
            format!("postgres://postgres@{encoded}:{port}/postgres?{options}"),
            &[],
        ),
        (format!("postgres:///postgres?{options}"), &variables),
    ] {
        let with_variables = |arguments: &str| {
            let mut command = command(arguments);
            command.envs(variables.iter().copied());
            command
        };
        Ran::of(&mut with_variables(&format!("migrate -D {url}")))
            .await
            .done();
        run(&server.url(), &insert).await;
        let relay = format!("relay -D {url} --brokers {} --until-empty", brokers());
        let ran = Ran::of(&mut with_variables(&relay)).await;
        assert_eq!(ran.done(), "delivered 1 messages\n", "{url}");
    }
}

#[tokio::test]
async fn what_would_not_be_heeded_is_refused_by_name() {
    for (url, words) in [
        ("postgres://user:s3cret@a:1,b:2/db", "several hosts"),
        (
            "postgres://user:s3cret@a/db?target_session_attrs=read-write",
            "target_session_attrs",
        ),
        ("postgres://user:s3cret@a/db?service=shop", "service"),
        ("postgres://user:s3cret@a/db?sslmode=allow", "sslmode=allow"),
    ] {
        for arguments in ["status", "relay --brokers localhost:1"] {
            let ran = Ran::of(&mut command(&format!("{arguments} -D {url}"))).await;
            assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
            ran.fails(2, &[words]);
        }
    }
    let mut by_service = command("status -D postgres:///db");
    by_service.env("PGSERVICE", "shop");
    Ran::of(&mut by_service).await.fails(2, &["PGSERVICE"]);
}
