//! The cluster's topics, through librdkafka's admin client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use outbox_runtime::librdkafka::{Clients, Connected};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::plan::ActualTopic;
use super::{WantedTopic, refusal};
use crate::Exit;
use crate::failure::Failure;
use crate::properties::{self, Properties};

/// How often it is looked for a new topic.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A Kafka cluster that is read and changed once.
pub(crate) struct Cluster {
    admin: Connected<AdminClient<DefaultClientContext>>,
    brokers: String,
    patience: Duration,
}

/// What became of a topic that was to be created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Created {
    Now,
    /// Somebody else was faster.
    Already,
    Refused(String),
}

impl Cluster {
    /// A client with the properties of `-X`; does not connect.
    pub(crate) fn new(brokers: &str, properties: Properties, patience: Duration) -> Result<Self, Failure> {
        let mut clients = Clients::new(brokers, properties.tokens);
        clients.set("client.id", "outbox-topics");
        for (key, value) in properties.given {
            if ["bootstrap.servers", "metadata.broker.list"].contains(&key.as_str()) {
                return Err(Failure::usage(format!("cannot set the property `{key}`"))
                    .advise("name the brokers with --brokers"));
            }
            clients.set(key, value);
        }
        // What it has to say is in the errors that it returns.
        clients.silence();
        clients
            .check()
            .map_err(|says| Failure::usage(says).advise(properties::ADVICE))?;
        let unusable = |error| Failure::usage("cannot create the Kafka client").because(error);
        let admin = clients.create(DefaultClientContext).map_err(unusable)?;
        Ok(Self {
            admin,
            brokers: brokers.to_owned(),
            patience,
        })
    }

    /// For further questions.
    pub(crate) fn admin(&self) -> &AdminClient<DefaultClientContext> {
        &self.admin
    }

    /// All brokers and topics that may be described.
    pub(crate) fn metadata(&self) -> Result<Metadata, Failure> {
        let client = self.admin.inner();
        client
            .fetch_metadata(None, self.patience)
            .map_err(|error| self.unreachable(error))
    }

    /// Those of these topics that are there, by name.
    pub(crate) async fn describe(
        &self,
        wanted: &[WantedTopic],
    ) -> Result<BTreeMap<String, ActualTopic>, Failure> {
        let metadata = self.metadata()?;
        let mut there: BTreeMap<String, ActualTopic> = metadata
            .topics()
            .iter()
            .filter(|topic| {
                topic.error().is_none() && wanted.iter().any(|wanted| wanted.name == topic.name())
            })
            .map(|topic| {
                let copies = topic
                    .partitions()
                    .iter()
                    .map(|partition| partition.replicas().len());
                let described = ActualTopic {
                    partitions: topic.partitions().len(),
                    replication_factor: copies.max().unwrap_or_default(),
                    settings: BTreeMap::new(),
                };
                (topic.name().to_owned(), described)
            })
            .collect();
        let asked: Vec<_> = there.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        if asked.is_empty() {
            return Ok(there);
        }
        let answers = self.admin.describe_configs(&asked, &self.options()).await;
        for answer in answers.map_err(|error| self.unreachable(error))? {
            let resource = answer.map_err(|code| {
                Failure::failed("cannot read the topics' settings")
                    .because(code.to_string())
                    .advise("allow DescribeConfigs on the topics")
            })?;
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
                continue;
            };
            let Some(topic) = there.get_mut(name) else {
                continue;
            };
            topic.settings = resource
                .entries
                .into_iter()
                .map(|entry| (entry.name, entry.value.unwrap_or_default()))
                .collect();
        }
        Ok(there)
    }

    /// Creates these topics; the answers are in their order.
    pub(crate) async fn create(&self, topics: &[&WantedTopic]) -> Result<Vec<Created>, Failure> {
        let new: Vec<NewTopic<'_>> = topics.iter().map(|topic| new_topic(topic)).collect();
        let answers = self.admin.create_topics(&new, &self.options()).await;
        let answers = answers.map_err(|error| self.unreachable(error))?;
        let outcome = |name: &str| {
            let answer = answers.iter().find(|answer| match answer {
                Ok(topic) | Err((topic, _)) => topic == name,
            });
            match answer {
                Some(Ok(_)) => Created::Now,
                Some(Err((_, Code::TopicAlreadyExists))) => Created::Already,
                Some(Err((_, code))) => Created::Refused(code.to_string()),
                None => Created::Refused("the cluster did not answer".to_owned()),
            }
        };
        let outcomes: Vec<Created> = topics
            .iter()
            .map(|topic| match outcome(&topic.name) {
                Created::Refused(code) => Created::Refused(self.refusal(topic, code)),
                other => other,
            })
            .collect();
        let created = topics
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == Created::Now);
        let created: Vec<WantedTopic> = created.map(|(topic, _)| (*topic).clone()).collect();
        self.wait_until_seen(&created).await?;
        Ok(outcomes)
    }

    /// The code of a refusal, and the cluster's own words for it.
    fn refusal(&self, topic: &WantedTopic, code: String) -> String {
        match refusal::reason(&self.admin, topic, self.patience) {
            Some(reason) => format!("{code}: {reason}"),
            None => code,
        }
    }

    /// The controller answers before all brokers know: whoever looks right afterwards is to find the topics.
    async fn wait_until_seen(&self, created: &[WantedTopic]) -> Result<(), Failure> {
        let started = Instant::now();
        while self.describe(created).await?.len() < created.len() && started.elapsed() < self.patience {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.patience))
            .operation_timeout(Some(self.patience))
    }

    fn unreachable(&self, error: KafkaError) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!("cannot reach the Kafka cluster at {}", self.brokers),
        )
        .because(error)
        .advise(
            "check --brokers, that the brokers run, and which security they require: -X security.protocol=…",
        )
    }
}

/// −1 leaves a number to the broker.
fn new_topic(topic: &WantedTopic) -> NewTopic<'_> {
    let partitions = topic.partitions.map_or(-1, |count| count.get().into());
    let replication =
        TopicReplication::Fixed(topic.replication_factor.map_or(-1, |count| count.get().into()));
    topic.settings.iter().fold(
        NewTopic::new(&topic.name, partitions, replication),
        |new, (name, value)| new.set(name, value),
    )
}
