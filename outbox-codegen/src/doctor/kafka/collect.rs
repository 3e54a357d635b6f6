//! Asks the cluster, through librdkafka's admin client.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::admin::{ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::types::RDKafkaErrorCode;

use super::facts::{KafkaFacts, Partition, Topic};
use crate::doctor::postgres::Payload;
use crate::doctor::{Hidden, Mend, Seen};
use crate::failure::Failure;
use crate::topics::{Cluster, Plan, WantedTopic};

/// What the cluster is asked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Topics of the events, as `outbox.toml` wants them.
    pub(crate) topics: Vec<WantedTopic>,
    pub(crate) open_templates: Vec<String>,
    /// Prefix of the topics' names in the cluster.
    pub(crate) prefix: String,
    /// The largest of the newest messages, by topic without the prefix.
    pub(crate) payloads: Vec<Payload>,
    pub(crate) cursor_topic: Option<String>,
}

/// Asks everything. Fails only if no broker answers.
pub(crate) async fn collect(cluster: &Cluster, wanted: Wanted) -> Result<KafkaFacts, Failure> {
    let metadata = cluster.metadata()?;
    let payloads: Vec<Payload> = wanted
        .payloads
        .into_iter()
        .map(|payload| Payload {
            topic: format!("{}{}", wanted.prefix, payload.topic),
            ..payload
        })
        .collect();
    let names: BTreeSet<&str> = wanted
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .chain(payloads.iter().map(|payload| payload.topic.as_str()))
        .chain(wanted.cursor_topic.as_deref())
        .collect();
    let mut topics: Vec<Topic> = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && names.contains(topic.name()))
        .map(described)
        .collect();
    read_settings(cluster, &mut topics).await;
    let broker = metadata.brokers().first().map(|broker| broker.id());
    // Whatever is missing is reported as such, and compared no further.
    let differences = match cluster.describe(&wanted.topics).await {
        Ok(there) => {
            let mut differences = Plan::new(&wanted.topics, &there).differences;
            // What may not be read differs from nothing.
            differences.retain(|one| is_known(&topics, &one.topic) || COUNTS.contains(&one.what.as_str()));
            differences
        }
        Err(_) => Vec::new(),
    };
    let missing = names
        .iter()
        .filter(|name| topics.iter().all(|topic| topic.name != **name));
    Ok(KafkaFacts {
        brokers: metadata.brokers().len(),
        broker_settings: broker_settings(cluster, broker).await,
        missing: missing.map(|name| (*name).to_owned()).collect(),
        topics,
        differences,
        open_templates: wanted.open_templates,
        cursor_topic: wanted.cursor_topic,
        payloads,
    })
}

/// What the metadata contains, without a right to read settings.
const COUNTS: [&str; 2] = ["partitions", "replication_factor"];

fn is_known(topics: &[Topic], name: &str) -> bool {
    let topic = topics.iter().find(|topic| topic.name == name);
    topic.is_some_and(|topic| topic.settings.known().is_some())
}

fn described(topic: &rdkafka::metadata::MetadataTopic) -> Topic {
    let partitions = topic.partitions().iter().map(|partition| Partition {
        replicas: partition.replicas().len(),
        in_sync: partition.isr().len(),
        has_leader: partition.leader() >= 0,
    });
    Topic {
        name: topic.name().to_owned(),
        partitions: partitions.collect(),
        settings: unseen_topic(topic.name(), "the broker did not report them".to_owned()),
    }
}

async fn read_settings(cluster: &Cluster, topics: &mut [Topic]) {
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    if names.is_empty() {
        return;
    }
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let answers = match cluster.admin().describe_configs(&asked, &cluster.options()).await {
        Ok(answers) => answers,
        Err(error) => {
            for topic in topics {
                topic.settings = unseen_topic(&topic.name, error.to_string());
            }
            return;
        }
    };
    // The answers are in the order of the questions.
    for (topic, answer) in topics.iter_mut().zip(answers) {
        topic.settings = match answer {
            Ok(resource) if matches!(&resource.specifier, OwnedResourceSpecifier::Topic(name) if *name == topic.name) => {
                match settings(resource) {
                    Some(known) => Seen::Is(known),
                    None => unseen_topic(&topic.name, REFUSED.to_owned()),
                }
            }
            Ok(_) => continue,
            Err(code) => unseen_topic(&topic.name, said(code)),
        };
    }
}

async fn broker_settings(cluster: &Cluster, broker: Option<i32>) -> Seen<BTreeMap<String, String>> {
    let Some(id) = broker else {
        return unseen_broker("no broker is known".to_owned());
    };
    let asked = [ResourceSpecifier::Broker(id)];
    match cluster.admin().describe_configs(&asked, &cluster.options()).await {
        Ok(answers) => match answers.into_iter().next() {
            Some(Ok(resource)) => match settings(resource) {
                Some(known) => Seen::Is(known),
                None => unseen_broker(REFUSED.to_owned()),
            },
            Some(Err(code)) => unseen_broker(said(code)),
            None => unseen_broker("the broker did not answer".to_owned()),
        },
        Err(error) => unseen_broker(error.to_string()),
    }
}

/// None if there are none: that is the answer to a user who may not read them. rdkafka does not pass its error on.
fn settings(resource: ConfigResource) -> Option<BTreeMap<String, String>> {
    let entries = resource.entries.into_iter();
    let reported: BTreeMap<String, String> = entries
        .filter_map(|entry| Some((entry.name, entry.value?)))
        .collect();
    (!reported.is_empty()).then_some(reported)
}

/// What an empty answer means.
const REFUSED: &str = "the user may not read them";

fn said(code: RDKafkaErrorCode) -> String {
    code.to_string()
}

fn unseen_topic<T>(topic: &str, error: String) -> Seen<T> {
    unseen("the settings of a topic", error, &format!("--topic {topic}"))
}

fn unseen_broker<T>(error: String) -> Seen<T> {
    unseen("the settings of the brokers", error, "--cluster")
}

fn unseen<T>(what: &'static str, error: String, resource: &str) -> Seen<T> {
    let allow = format!(
        "kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation DescribeConfigs {resource}"
    );
    Seen::Hidden(Hidden {
        what,
        error,
        mend: Some(Mend::Command(allow)),
    })
}
