//! Topics of this program's events.

use std::collections::BTreeSet;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::{PARTITIONS, PATIENCE};
use crate::catalog::Catalog;

/// The topics of this program's events whose names are constants, with this prefix.
pub(super) fn declared_topics(prefix: &str) -> BTreeSet<String> {
    let topics = Catalog::global().iter().map(|event| event.topic());
    topics
        .filter(|topic| !topic.contains('{'))
        .map(|topic| format!("{prefix}{topic}"))
        .collect()
}

pub(super) async fn create_topics(brokers: &str, topics: BTreeSet<String>) {
    // As many replicas as the brokers have for a default.
    let new: Vec<_> = topics
        .iter()
        .map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(-1)))
        .collect();
    let client = client(brokers).expect("brokers are a list of `host:port`");
    let results = client.create_topics(&new, &options()).await;
    for result in results.expect("the brokers answer") {
        if let Err((topic, code)) = result {
            assert_eq!(
                code,
                RDKafkaErrorCode::TopicAlreadyExists,
                "the topic `{topic}` cannot be created"
            );
        }
    }
}

/// The topics on real brokers that begin with a prefix. They are deleted with this value, however they came to be.
#[derive(Debug)]
pub(super) struct OwnTopics {
    brokers: String,
    prefix: String,
}

impl OwnTopics {
    pub(super) fn new(brokers: &str, prefix: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
        }
    }
}

impl Drop for OwnTopics {
    fn drop(&mut self) {
        let (brokers, prefix) = (self.brokers.clone(), self.prefix.clone());
        // A runtime of its own: the test's may be the one that is unwinding.
        let deleted = std::thread::spawn(move || delete_topics(&brokers, &prefix));
        if let Ok(Err(error)) = deleted.join() {
            eprintln!("a test's topics, `{}…`, are left behind: {error}", self.prefix);
        }
    }
}

fn delete_topics(brokers: &str, prefix: &str) -> Result<(), KafkaError> {
    let client = client(brokers)?;
    let metadata = client.inner().fetch_metadata(None, PATIENCE)?;
    let names = metadata.topics().iter().map(|topic| topic.name());
    let own: Vec<&str> = names.filter(|name| name.starts_with(prefix)).collect();
    if own.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    let results = runtime.block_on(client.delete_topics(&own, &options()))?;
    let refused = results.into_iter().find_map(Result::err);
    refused.map_or(Ok(()), |(_, code)| Err(KafkaError::AdminOp(code)))
}

fn client(brokers: &str) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
    ClientConfig::new().set("bootstrap.servers", brokers).create()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
}
