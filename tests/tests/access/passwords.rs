//! Passwords that change while relays run.

use std::path::Path;
use std::time::Duration;

use outbox_runtime::{KafkaPublisher, PostgresStore, Relay};
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{Certificates, PostgresServer, brokers};
use outbox_tests::wait_until;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(120);

struct Scene {
    _certificates: Certificates,
    server: PostgresServer,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new("certified");
        let server = PostgresServer::start_encrypted(&certificates, &[]).await;
        let scene = Self {
            _certificates: certificates,
            server,
            topic: Topic::create("passwords", 1).await,
        };
        Ran::of(&mut command(&format!("migrate -D {}", scene.url("postgres"))))
            .await
            .done();
        scene
            .run("CREATE ROLE relay LOGIN SUPERUSER PASSWORD 'first'")
            .await;
        scene
    }

    fn url(&self, user: &str) -> String {
        format!(
            "postgres://{user}@localhost:{}/postgres?sslmode=require",
            self.server.port()
        )
    }

    async fn run(&self, statements: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Messages with these numbers.
    async fn insert(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.run(&format!(
                "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                 VALUES ('order', '1', 'OrderPlacedV1', '{}', '{number}')",
                self.topic.name()
            ))
            .await;
        }
    }

    /// The role's password changes, and all of its sessions end.
    async fn change(&self, password: &str) {
        self.run(&format!(
            "ALTER ROLE relay PASSWORD '{password}';
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'relay'"
        ))
        .await;
    }

    async fn delivered(&self, numbers: u32) {
        wait_until("all messages to be delivered", LIMIT, async || {
            (self.topic.read_all().await.len() >= numbers as usize).then_some(())
        })
        .await;
        let records = self.topic.read_all().await;
        let mut found: Vec<u32> = records
            .iter()
            .map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
            .collect();
        found.dedup();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, (0..numbers).collect::<Vec<_>>());
    }
}

fn write(path: &Path, password: &str) {
    std::fs::write(path, format!("{password}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_reads_the_file_of_the_password_again() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let relay = format!(
        "relay -D {} --password-file {} --brokers {}",
        scene.url("relay"),
        file.display(),
        brokers()
    );
    Ran::of(&mut command(&relay))
        .await
        .fails(2, &["password cannot be read", "password"]);
    write(&file, "wrong");
    Ran::of(&mut command(&relay))
        .await
        .fails(2, &["refuses the role's password"]);
    write(&file, "first");
    let mut running = Running::start(command(&relay));
    running.says("this relay is the active one").await;
    scene.insert(0..20).await;
    scene.change("second").await;
    scene.insert(20..40).await;
    // The file is written a little later.
    running.says("refuses the role's password").await;
    write(&file, "second");
    scene.insert(40..60).await;
    scene.delivered(60).await;
    let ended = running.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_relay_takes_the_pools_password_of_today() {
    let scene = Scene::new().await;
    let options: PgConnectOptions = scene.url("relay").parse().unwrap();
    let pool = PgPool::connect_with(options.clone().password("first"))
        .await
        .unwrap();
    let publisher = KafkaPublisher::builder(brokers()).build().unwrap();
    let mut relay = Relay::builder(PostgresStore::new(&pool), publisher)
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { relay.run(stop).await }
    });
    scene.insert(0..20).await;
    scene.delivered(20).await;
    scene.change("second").await;
    pool.set_connect_options(options.password("second"));
    scene.insert(20..40).await;
    scene.delivered(40).await;
    assert!(!running.is_finished());
    stop.cancel();
    running.await.unwrap().unwrap();
}
