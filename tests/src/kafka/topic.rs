//! A topic for one test.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use uuid::Uuid;

use super::read::{ReadRecord, read_all, read_committed};
use super::rights;
use crate::servers;
use crate::wait_until;

/// How long a broker may take over an administrative request.
const LIMIT: Duration = Duration::from_secs(120);

/// A topic that no other test knows of.
#[derive(Debug, Clone)]
pub struct Topic {
    brokers: String,
    name: String,
    partitions: i32,
    replicas: i32,
}

impl Topic {
    /// A new topic on the shared broker; its name is `prefix` and something unique.
    pub async fn create(prefix: &str, partitions: i32) -> Self {
        Self::create_at(&servers::brokers(), prefix, partitions, &[]).await
    }

    /// A new topic on these brokers, with settings such as `("max.message.bytes", "2000")`.
    pub async fn create_at(brokers: &str, prefix: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let topic = Self::named(
            brokers,
            &format!("{prefix}-{}", Uuid::new_v4().simple()),
            partitions,
        );
        topic.create_again(settings).await;
        topic
    }

    /// A topic with exactly this name, which is not created here.
    pub fn named(brokers: &str, name: &str, partitions: i32) -> Self {
        Self {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
            partitions,
            replicas: 1,
        }
    }

    /// The same, to be created with so many replicas of each record.
    pub fn replicated(mut self, replicas: i32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Asks once to create the topic under the name it has; one that is there already will do.
    ///
    /// # Errors
    /// What the broker says, or the client if there was no answer.
    pub async fn try_create(&self) -> Result<(), String> {
        let topic = NewTopic::new(
            &self.name,
            self.partitions,
            TopicReplication::Fixed(self.replicas),
        );
        let results = admin(&self.brokers).create_topics([&topic], &options()).await;
        outcome(results, RDKafkaErrorCode::TopicAlreadyExists)
    }

    /// Asks once to delete the topic with all its records; one that is not there will do.
    ///
    /// # Errors
    /// What the broker says, or the client if there was no answer.
    pub async fn try_delete(&self) -> Result<(), String> {
        let results = admin(&self.brokers)
            .delete_topics(&[&self.name], &options())
            .await;
        outcome(results, RDKafkaErrorCode::UnknownTopicOrPartition)
    }

    /// Asks once to set one of the topic's settings, and to take back all others.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn try_alter(&self, setting: &str, value: &str) -> Result<(), String> {
        let config = AlterConfig::new(ResourceSpecifier::Topic(&self.name)).set(setting, value);
        let results = admin(&self.brokers).alter_configs([&config], &options()).await;
        let results = results.map_err(|error| error.to_string())?;
        let refused = results.into_iter().find_map(Result::err);
        refused.map_or(Ok(()), |(_, code)| Err(code.to_string()))
    }

    /// The id of the broker that leads a partition, if one does.
    pub async fn leader(&self, partition: i32) -> Option<i32> {
        let Self { brokers, name, .. } = self.clone();
        let ask = move || {
            let metadata = client(&brokers).fetch_metadata(Some(&name), LIMIT).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let found = partitions.iter().find(|found| found.id() == partition)?;
            (found.leader() >= 0).then(|| found.leader())
        };
        tokio::task::spawn_blocking(ask)
            .await
            .expect("asking does not panic")
    }

    /// How many replicas a partition has, if it is there.
    pub async fn replicas(&self, partition: i32) -> Option<usize> {
        let Self { brokers, name, .. } = self.clone();
        let ask = move || {
            let metadata = client(&brokers).fetch_metadata(Some(&name), LIMIT).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let found = partitions.iter().find(|found| found.id() == partition)?;
            Some(found.replicas().len())
        };
        tokio::task::spawn_blocking(ask)
            .await
            .expect("asking does not panic")
    }

    /// Waits until the broker says that the topic can be used.
    pub async fn usable(&self) {
        wait_until("a topic's partitions to have leaders", LIMIT, || {
            self.has_leaders()
        })
        .await;
    }

    /// Creates the topic under the name it has, and waits until the broker says that it can be used.
    pub async fn create_again(&self, settings: &[(&str, &str)]) {
        let replication = TopicReplication::Fixed(self.replicas);
        let start = NewTopic::new(&self.name, self.partitions, replication);
        let topic = settings
            .iter()
            .fold(start, |topic, (name, value)| topic.set(name, value));
        let results = admin(&self.brokers).create_topics([&topic], &options()).await;
        let results = results.unwrap_or_else(|error| panic!("{self:?} could not be created: {error}"));
        assert!(
            results.iter().all(Result::is_ok),
            "{self:?} could not be created: {results:?}"
        );
        wait_until("a new topic's partitions to have leaders", LIMIT, || {
            self.has_leaders()
        })
        .await;
    }

    /// Creates the topic under the name it has, unless it is there already.
    pub async fn ensure(&self) {
        let replication = TopicReplication::Fixed(1);
        let topic = NewTopic::new(&self.name, self.partitions, replication);
        let results = admin(&self.brokers).create_topics([&topic], &options()).await;
        let results = results.unwrap_or_else(|error| panic!("{self:?} could not be created: {error}"));
        let is_there =
            |result: &TopicResult| matches!(result, Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)));
        assert!(
            results.iter().all(is_there),
            "{self:?} could not be created: {results:?}"
        );
        wait_until("a topic's partitions to have leaders", LIMIT, || {
            self.has_leaders()
        })
        .await;
    }

    /// Whether the broker has it, and each of its partitions a leader.
    pub async fn exists(&self) -> bool {
        self.has_leaders().await.is_some()
    }

    /// Deletes the topic with all its records.
    pub async fn delete(&self) {
        let results = admin(&self.brokers)
            .delete_topics(&[&self.name], &options())
            .await;
        let results = results.unwrap_or_else(|error| panic!("{self:?} could not be deleted: {error}"));
        assert!(
            results.iter().all(Result::is_ok),
            "{self:?} could not be deleted: {results:?}"
        );
    }

    /// Changes settings of the topic; those that are not named go back to their defaults.
    pub async fn set(&self, settings: &[(&str, &str)]) {
        let resource = AlterConfig::new(ResourceSpecifier::Topic(&self.name));
        let change = settings
            .iter()
            .fold(resource, |change, (name, value)| change.set(name, value));
        let results = admin(&self.brokers).alter_configs([&change], &options()).await;
        let results = results.unwrap_or_else(|error| panic!("{self:?} could not be changed: {error}"));
        assert!(
            results.iter().all(Result::is_ok),
            "{self:?} could not be changed: {results:?}"
        );
    }

    /// Takes the right to write to the topic from everybody. The broker has to heed
    /// [`RIGHTS`](super::RIGHTS).
    pub async fn forbid(&self) {
        rights::forbid(&self.brokers, &self.name).await;
    }

    /// Gives the right to write to the topic back.
    pub async fn allow(&self) {
        rights::allow(&self.brokers, &self.name).await;
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// All that is in the topic now, aborted transactions too: each partition in the order of its log, one
    /// partition behind the other.
    pub async fn read_all(&self) -> Vec<ReadRecord> {
        read_all(&self.brokers, &self.name).await
    }

    /// What a `read_committed` consumer sees of the topic now, ordered as in [`read_all`](Self::read_all).
    pub async fn read_committed(&self) -> Vec<ReadRecord> {
        read_committed(&self.brokers, &self.name).await
    }

    /// How many records were ever written to the topic, transactions' markers included.
    pub async fn end_offset(&self) -> i64 {
        let Self {
            brokers,
            name,
            partitions,
            ..
        } = self.clone();
        let ask = move || {
            let client = client(&brokers);
            let started = Instant::now();
            // A partition that has only just come into being may not know its leader yet.
            let end = |partition| loop {
                match client.fetch_watermarks(&name, partition, LIMIT) {
                    Ok((_, high)) => return Ok(high),
                    Err(error) if started.elapsed() > LIMIT => return Err(error),
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            };
            (0..partitions)
                .map(end)
                .sum::<Result<i64, _>>()
                .expect("the broker says where partitions end")
        };
        tokio::task::spawn_blocking(ask)
            .await
            .expect("asking does not panic")
    }

    async fn has_leaders(&self) -> Option<()> {
        let Self { brokers, name, .. } = self.clone();
        let ask = move || {
            let metadata = client(&brokers).fetch_metadata(Some(&name), LIMIT).ok()?;
            let topic = metadata.topics().first()?;
            let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
            (topic.error().is_none() && led && !topic.partitions().is_empty()).then_some(())
        };
        tokio::task::spawn_blocking(ask)
            .await
            .expect("asking does not panic")
    }
}

/// What an earlier request, whose answer was lost, has done already is no error.
fn outcome(results: KafkaResult<Vec<TopicResult>>, done_already: RDKafkaErrorCode) -> Result<(), String> {
    let results = results.map_err(|error| error.to_string())?;
    let refused = results.into_iter().find_map(Result::err);
    let refused = refused.filter(|(_, code)| *code != done_already);
    refused.map_or(Ok(()), |(_, code)| Err(code.to_string()))
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .create()
        .expect("an administrative client can be made")
}

fn client(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .create()
        .expect("a client can be made")
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(LIMIT))
        .request_timeout(Some(LIMIT))
}
