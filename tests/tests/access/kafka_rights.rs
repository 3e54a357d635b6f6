//! Relays, consumers and operators with exactly the rights that `outbox generate acls` gives them, and with each of them
//! missing in turn.

use std::fs;
use std::time::Duration;

use outbox_runtime::{Consumer, Outbox};
use outbox_tests::kafka::{GRANTED_RIGHTS, Operation, Resource, Right, Topic};
use outbox_tests::numbers::{self, Number, act};
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{Certificates, Encrypted, KafkaServer};
use outbox_tests::{TestDatabase, wait_until};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::json;
use sqlx::Postgres;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(120);
const USER: &str = "alice";
const GROUP: &str = "shop.billing";

struct Scene {
    certificates: Certificates,
    kafka: KafkaServer,
    sasl: String,
    database: TestDatabase<Postgres>,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        let certificates = Certificates::new("relay");
        let (kafka, Encrypted { sasl, .. }) =
            KafkaServer::start_encrypted(&certificates, &[(USER, "right")], &GRANTED_RIGHTS).await;
        Self {
            topic: Topic::create_at(&kafka.brokers(), "rights", 1, &[]).await,
            certificates,
            kafka,
            sasl,
            database: TestDatabase::postgres().await,
        }
    }

    /// Writes a catalog with an event of the topic, and returns the options that name it.
    fn catalog(&self) -> String {
        let event = json!({
            "event_type": "NumberV1", "version": 1, "topic": self.topic.name(), "aggregate": "order", "key": "key",
            "content_type": "application/json", "source": null, "occurred_at": null, "correlation_id": null,
            "headers": [], "rust_type": "shop::NumberV1", "doc": "", "schema": null,
            "location": { "file": "src/lib.rs", "line": 1 },
        });
        let catalog = json!({ "schema_version": 1, "package": "shop", "events": [event] });
        let path = self.certificates.path("catalog.json");
        fs::write(&path, catalog.to_string()).unwrap();
        fs::write(self.certificates.path("outbox.toml"), "").unwrap();
        let config = self.certificates.text("outbox.toml");
        format!("--catalog {} --config {config}", path.display())
    }

    /// What `outbox generate acls` says that a client needs.
    async fn generated(&self, client: &str) -> Vec<Right> {
        let generate = format!(
            "generate acls --client {client} --relay-principal User:{USER} --consumer-principal User:{USER} \
             --operator-principal User:{USER} --consumer-group {GROUP} --cursor-topic shop.cursors \
             --transactional-id-prefix shop. {}",
            self.catalog()
        );
        let script = Ran::of(&mut command(&generate)).await.done();
        let commands = script.lines().filter(|line| line.starts_with("kafka-acls.sh"));
        commands
            .flat_map(|line| Right::of_command(line, &format!("User:{USER}")))
            .collect()
    }

    /// The generated rights are these, and no others.
    async fn are_generated(&self, client: &str, rights: &[Right]) {
        let generated = self.generated(client).await;
        assert_eq!(generated.len(), rights.len(), "{client}: {generated:#?}");
        for right in rights {
            assert!(
                generated.contains(right),
                "{client} has no {right:?}: {generated:#?}"
            );
        }
    }

    /// Options of the login.
    fn login(&self) -> String {
        format!(
            "--brokers {} -X ssl.ca.location={} -X security.protocol=sasl_ssl -X sasl.mechanisms=PLAIN \
             -X sasl.username={USER} -X sasl.password=right",
            self.sasl,
            self.certificates.text("ca.pem")
        )
    }

    fn topic_right(&self, operation: Operation) -> Right {
        right(Resource::Topic, self.topic.name(), operation)
    }

    async fn grant(&self, rights: &[Right]) {
        for right in rights {
            right.grant(&self.kafka.brokers(), USER).await;
        }
    }

    async fn insert(&self, number: i64) {
        let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                      VALUES ('order', '1', 'NumberV1', $1, json_build_object('key', 'k', 'number', $2::bigint))";
        sqlx::query(insert)
            .bind(self.topic.name())
            .bind(number)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    fn relay(&self, delivery: &str) -> String {
        format!(
            "relay --delivery {delivery} --transactional-id-prefix shop. --cursor-topic shop.cursors -D {} {}",
            self.database.url(),
            self.login()
        )
    }

    /// Delivers with all of these rights, and says which one is missing where one is.
    async fn each_right_is_named(&self, delivery: &str, rights: &[(Right, &str)]) {
        let all: Vec<Right> = rights.iter().map(|(right, _)| right.clone()).collect();
        self.grant(&all).await;
        self.insert(1).await;
        let drain = format!("{} --until-empty", self.relay(delivery));
        assert_eq!(
            Ran::of(&mut command(&drain)).await.done(),
            "delivered 1 messages\n",
            "{delivery}"
        );
        for (right, says) in rights {
            right.revoke(&self.kafka.brokers(), USER).await;
            self.insert(1).await;
            let mut relay = Running::start(command(&self.relay(delivery)));
            relay.says(says).await;
            right.grant(&self.kafka.brokers(), USER).await;
            let seen = self.topic.read_committed().await.len();
            wait_until("the message to be delivered", LIMIT, async || {
                let delivered = self.topic.read_committed().await.len() > seen;
                (delivered || *says == DESCRIBE_CONFIGS).then_some(())
            })
            .await;
            let ended = relay.stop().await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
    }
}

/// Without it, a relay goes on with Kafka's defaults.
const DESCRIBE_CONFIGS: &str = "allow DescribeConfigs on the topic";

fn right(resource: Resource, name: &str, operation: Operation) -> Right {
    Right {
        resource,
        name: name.to_owned(),
        prefixed: resource == Resource::TransactionalId,
        operation,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_needs_what_is_generated() {
    let scene = Scene::new().await;
    let rights = [Operation::Write, Operation::DescribeConfigs].map(|operation| scene.topic_right(operation));
    scene.are_generated("relay", &rights).await;
    let write = format!("allow Write on the topic `{}`", scene.topic.name());
    scene
        .each_right_is_named(
            "at-least-once",
            &[
                (scene.topic_right(Operation::Write), &write),
                (scene.topic_right(Operation::DescribeConfigs), DESCRIBE_CONFIGS),
            ],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_needs_what_is_generated() {
    let scene = Scene::new().await;
    let cursors = |operation| right(Resource::Topic, "shop.cursors", operation);
    let rights = [
        scene.topic_right(Operation::Write),
        scene.topic_right(Operation::DescribeConfigs),
        right(Resource::TransactionalId, "shop.", Operation::Write),
        cursors(Operation::Create),
        cursors(Operation::Read),
        cursors(Operation::Write),
    ];
    scene.are_generated("relay-exactly-once", &rights).await;
    // For the first start alone, which creates the topic.
    scene
        .grant(&[cursors(Operation::Create), cursors(Operation::Write)])
        .await;
    scene
        .each_right_is_named(
            "exactly-once",
            &[
                (
                    right(Resource::TransactionalId, "shop.", Operation::Write),
                    "allow Write and Describe on the transactional id `shop.",
                ),
                (cursors(Operation::Read), "allow Read on the topic `shop.cursors`"),
                (scene.topic_right(Operation::Write), "Write on the topic"),
                (scene.topic_right(Operation::DescribeConfigs), DESCRIBE_CONFIGS),
            ],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_and_operators_need_what_is_generated() {
    let scene = Scene::new().await;
    an_operator(&scene).await;
    numbers::tables(&scene.database.pool).await;
    let own = [
        scene.topic_right(Operation::Read),
        right(Resource::Group, GROUP, Operation::Read),
    ];
    scene.are_generated("consumer", &own).await;
    let relay = scene.generated("relay").await;
    scene.grant(&relay).await;
    scene.insert(1).await;
    let drain = format!("{} --until-empty", scene.relay("at-least-once"));
    Ran::of(&mut command(&drain)).await.done();
    for right in relay {
        right.revoke(&scene.kafka.brokers(), USER).await;
    }
    scene.grant(&own).await;
    let outbox = Outbox::new(scene.database.pool.clone());
    let consumer = Consumer::builder(&outbox, &scene.sasl, GROUP)
        .topic(scene.topic.name())
        .property("ssl.ca.location", scene.certificates.text("ca.pem"))
        .property("security.protocol", "sasl_ssl")
        .property("sasl.mechanisms", "PLAIN")
        .property("sasl.username", USER)
        .property("sasl.password", "right")
        .on("NumberV1", async |tx, _message, number: Number| {
            act(tx, &number).await
        })
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let consumer_stop = stop.clone();
    let consuming = tokio::spawn(async move { consumer.run(consumer_stop).await });
    wait_until("the number to be acted on", LIMIT, async || {
        (numbers::acted(&scene.database.pool).await == 1).then_some(())
    })
    .await;
    stop.cancel();
    consuming.await.unwrap().unwrap();
    for (right, code) in own.iter().zip([
        RDKafkaErrorCode::TopicAuthorizationFailed,
        RDKafkaErrorCode::GroupAuthorizationFailed,
    ]) {
        right.revoke(&scene.kafka.brokers(), USER).await;
        assert_eq!(refused(&scene).await, code);
        right.grant(&scene.kafka.brokers(), USER).await;
    }
}

/// The first error of a client of the group.
async fn refused(scene: &Scene) -> RDKafkaErrorCode {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", scene.sasl.as_str()),
        ("ssl.ca.location", &scene.certificates.text("ca.pem")),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", USER),
        ("sasl.password", "right"),
        ("group.id", GROUP),
        ("auto.offset.reset", "earliest"),
    ] {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[scene.topic.name()]).unwrap();
    let polling = move || {
        loop {
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(100))
                && let Some(code) = error.rdkafka_error_code()
            {
                return code;
            }
        }
    };
    tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(polling))
        .await
        .unwrap()
        .unwrap()
}

/// Creates and describes topics, examines the cluster, and can do neither without the right to.
async fn an_operator(scene: &Scene) {
    let all = scene.generated("operator").await;
    let (apply, doctor) = (
        format!("topics apply {} {}", scene.catalog(), scene.login()),
        format!(
            "doctor --json -D {} {} {}",
            scene.database.url(),
            scene.catalog(),
            scene.login()
        ),
    );
    // The topic is there: it is created once more.
    scene.topic.try_delete().await.unwrap();
    let create = scene.topic_right(Operation::Create);
    let without: Vec<Right> = all.iter().filter(|right| **right != create).cloned().collect();
    scene.grant(&without).await;
    Ran::of(&mut command(&apply))
        .await
        .fails(1, &["refused to create"]);
    scene.grant(std::slice::from_ref(&create)).await;
    let created = Ran::of(&mut command(&apply)).await.done();
    assert!(created.contains("created"), "{created}");
    let found = Ran::of(&mut command(&doctor)).await.stdout;
    assert!(
        found.contains("\"findings\"") && !found.contains("not_visible"),
        "{found}"
    );
    for right in all
        .iter()
        .filter(|right| right.operation == Operation::DescribeConfigs)
    {
        right.revoke(&scene.kafka.brokers(), USER).await;
    }
    // The brokers learn of it a little later.
    wait_until("the settings to be hidden", LIMIT, async || {
        let found = Ran::of(&mut command(&doctor)).await.stdout;
        (found.matches("\"not_visible\"").count() == 2).then_some(())
    })
    .await;
    for right in all {
        right.revoke(&scene.kafka.brokers(), USER).await;
    }
}
