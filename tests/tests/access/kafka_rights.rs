//! Relays and consumers with exactly the rights that the documentation lists, and with each of them missing in turn.

use std::time::Duration;

use outbox_runtime::{Consumer, Outbox};
use outbox_tests::kafka::{GRANTED_RIGHTS, Operation, Resource, Right, Topic};
use outbox_tests::numbers::{self, Number, act};
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::{Certificates, Encrypted, KafkaServer};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::Postgres;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(120);
const USER: &str = "alice";

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
            "relay --delivery {delivery} --transactional-id-prefix shop. --cursor-topic shop.cursors -D {} --brokers {} \
             -X ssl.ca.location={} -X security.protocol=sasl_ssl -X sasl.mechanisms=PLAIN -X sasl.username={USER} \
             -X sasl.password=right",
            self.database.url(),
            self.sasl,
            self.certificates.text("ca.pem")
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
async fn at_least_once_needs_what_is_listed() {
    let scene = Scene::new().await;
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
async fn exactly_once_needs_what_is_listed() {
    let scene = Scene::new().await;
    let cursors = |operation| right(Resource::Topic, "shop.cursors", operation);
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
async fn a_consumer_needs_what_is_listed() {
    let scene = Scene::new().await;
    numbers::tables(&scene.database.pool).await;
    let group = "shop.billing";
    scene
        .grant(&[
            scene.topic_right(Operation::Write),
            scene.topic_right(Operation::DescribeConfigs),
            scene.topic_right(Operation::Read),
            right(Resource::Group, group, Operation::Read),
        ])
        .await;
    scene.insert(1).await;
    let drain = format!("{} --until-empty", scene.relay("at-least-once"));
    Ran::of(&mut command(&drain)).await.done();
    let outbox = Outbox::new(scene.database.pool.clone());
    let consumer = Consumer::builder(&outbox, &scene.sasl, group)
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
}
