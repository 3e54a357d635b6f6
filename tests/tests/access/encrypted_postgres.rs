//! A PostgreSQL that takes encrypted connections only.

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::{Certificates, PostgresServer, brokers, database_url};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

struct Scene {
    certificates: Certificates,
    server: PostgresServer,
    topic: Topic,
}

impl Scene {
    /// The tables, and two roles that may do everything: `relay` with a password, `certified` with a certificate.
    async fn new() -> Self {
        let certificates = Certificates::new("certified");
        let server = PostgresServer::start_encrypted(&certificates, &[]).await;
        let scene = Self {
            certificates,
            server,
            topic: Topic::create("encrypted", 1).await,
        };
        let owner = scene.url("postgres", "localhost", "sslmode=require");
        Ran::of(&mut command(&format!("migrate -D {owner}"))).await.done();
        scene
            .run("CREATE ROLE relay LOGIN SUPERUSER PASSWORD 'right'; CREATE ROLE certified LOGIN SUPERUSER")
            .await;
        scene
    }

    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        format!(
            "postgres://{user}@{host}:{}/postgres?{parameters}",
            self.server.port()
        )
    }

    async fn run(&self, statements: &str) {
        let owner = self.url("postgres", "localhost", "sslmode=require");
        let mut connection = PgConnection::connect(&owner).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn insert(&self) {
        self.run(&format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             VALUES ('order', '1', 'OrderPlacedV1', '{}', '1')",
            self.topic.name()
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_encrypting_delivers() {
    let scene = Scene::new().await;
    let file = |name: &str| scene.certificates.text(name);
    let ca = file("ca.pem");
    let trusting = format!("sslrootcert={ca}");
    let certified = format!("sslcert={}&sslkey={}", file("client.pem"), file("client.key"));
    let with_password = "relay:right";
    let urls = [
        (scene.url(with_password, "localhost", "sslmode=require"), None),
        // The certificate names no address.
        (
            scene.url(
                with_password,
                "127.0.0.1",
                &format!("sslmode=verify-ca&{trusting}"),
            ),
            None,
        ),
        (
            scene.url(
                with_password,
                "localhost",
                &format!("sslmode=verify-full&{trusting}"),
            ),
            None,
        ),
        (
            scene.url(with_password, "localhost", "sslmode=verify-full"),
            Some(ca.as_str()),
        ),
        (
            scene.url(
                "certified",
                "localhost",
                &format!("sslmode=verify-full&{trusting}&{certified}"),
            ),
            None,
        ),
    ];
    for (url, authority) in urls {
        scene.insert().await;
        let relay = format!("relay -D {url} --brokers {} --until-empty", brokers());
        let mut relay = command(&relay);
        if let Some(authority) = authority {
            relay.env("PGSSLROOTCERT", authority);
        }
        assert_eq!(
            Ran::of(&mut relay).await.done(),
            "delivered 1 messages\n",
            "{url}"
        );
    }
}

/// The errors of a refused connection, in each program.
async fn refused(url: &str, words: &[&str]) {
    let relay = format!("relay -D {url} --brokers {}", brokers());
    Ran::of(&mut command(&relay)).await.fails(2, words);
    let status = Ran::of(&mut command(&format!("status -D {url}"))).await;
    status.fails(1, words);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_reported_at_once() {
    let scene = Scene::new().await;
    let file = |name: &str| scene.certificates.text(name);
    let full = format!("sslmode=verify-full&sslrootcert={}", file("ca.pem"));
    let trusts_another = format!("sslmode=verify-full&sslrootcert={}", file("other-ca.pem"));
    for (user, host, parameters, words) in [
        (
            "relay:right",
            "localhost",
            trusts_another.as_str(),
            ["not signed by an authority", "sslrootcert"],
        ),
        (
            "relay:right",
            "localhost",
            "sslmode=verify-ca",
            ["not signed by an authority", "PGSSLROOTCERT"],
        ),
        (
            "relay:right",
            "127.0.0.1",
            &full,
            ["another host name", "sslmode=verify-ca"],
        ),
        (
            "relay:wrong",
            "localhost",
            &full,
            ["refuses the role's password", "check user and password"],
        ),
        (
            "relay:right",
            "localhost",
            "sslmode=disable",
            ["no encryption", "sslmode=require"],
        ),
        ("certified", "localhost", &full, ["certificate", "sslkey"]),
        (
            "relay:right",
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            ["file of certificates", "sslrootcert"],
        ),
    ] {
        refused(&scene.url(user, host, parameters), &words).await;
    }
    // The tests' own server does not encrypt.
    refused(
        &format!("{}?sslmode=require", database_url()),
        &["the database does not do that", "turn `ssl` on"],
    )
    .await;
}
