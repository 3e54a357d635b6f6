//! Brokers that create topics by themselves: they create the events', and the relay that of the cursors.

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::program::Ran;
use outbox_tests::servers::KafkaServer;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::scene::{Address, insert, numbers};

async fn cleanup_policy(brokers: &str, topic: &str) -> Option<String> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .unwrap();
    let asked = [&ResourceSpecifier::Topic(topic)];
    let answers = admin.describe_configs(asked, &AdminOptions::new()).await.unwrap();
    let settings = answers.into_iter().next()?.ok()?;
    settings.get("cleanup.policy")?.value.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_events_are_created_and_that_of_cursors_has_its_settings() {
    let kafka = KafkaServer::start_with(&[("auto.create.topics.enable", "true")]).await;
    let database = TestDatabase::postgres().await;
    let address = Address {
        brokers: kafka.brokers(),
        ..Address::new(&database.url())
    };
    for (name, flags) in [("asked-for", &[][..]), ("assumed", &["--assume-topic-limits"])] {
        let topic = Topic::named(&kafka.brokers(), name, 1);
        insert(&database.pool, &topic, 0..50).await;
        let mut relay = address.command("exactly-once");
        Ran::of(relay.arg("--until-empty").args(flags)).await.done();
        assert_eq!(numbers(&topic).await, (0..50).collect::<Vec<_>>(), "{name}");
    }
    let policy = cleanup_policy(&kafka.brokers(), &address.cursor_topic).await;
    assert_eq!(policy.as_deref(), Some("compact"));
}
