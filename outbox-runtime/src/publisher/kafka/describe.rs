//! Questions to a broker about topics.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::librdkafka::Connected;
use crate::publisher::{PublishError, PublishErrorKind};

pub(super) type Admin = Connected<AdminClient<DefaultClientContext>>;

/// How long a broker may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The code of an error that an administrator's request ended with.
pub(super) fn code(error: KafkaError) -> Code {
    match error {
        KafkaError::AdminOp(code) => code,
        error => error.rdkafka_error_code().unwrap_or(Code::Unknown),
    }
}

/// The settings of topics, in their order, in one request.
pub(super) async fn settings(
    admin: &Admin,
    topics: &[String],
) -> Result<Vec<Result<ConfigResource, Code>>, Code> {
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    admin.describe_configs(&resources, &options).await.map_err(code)
}

/// What the broker knows of one topic or of all. A broker that creates topics by itself creates this one then.
pub(super) async fn metadata(admin: &Arc<Admin>, topic: Option<&str>) -> Result<Metadata, PublishError> {
    let (admin, name) = (Arc::clone(admin), topic.map(str::to_owned));
    let asked =
        tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(name.as_deref(), PATIENCE)).await;
    let unavailable = || {
        let of = topic.map_or_else(|| "its topics".to_owned(), |topic| format!("topic `{topic}`"));
        let text = format!("the broker does not answer when it is asked for {of}");
        PublishError::new(PublishErrorKind::Unavailable, text)
    };
    asked
        .map_err(|error| unavailable().with_source(error))?
        .map_err(|error| unavailable().with_source(error))
}

/// How many requests measure a round trip. The fastest one counts: the others waited for a connection or a busy machine.
const ROUND_TRIPS: usize = 5;

/// What decides how long the partitions of a producer wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distance {
    /// How long a broker takes to answer.
    pub(super) round_trip: Duration,
    /// How many brokers share the partitions, each with its own request in flight.
    pub(super) brokers: u32,
}

/// The distance to the cluster, measured with a topic that exists.
pub(super) async fn distance(admin: &Arc<Admin>, topic: &str) -> Result<Distance, PublishError> {
    let mut distance = Distance {
        round_trip: Duration::MAX,
        brokers: 1,
    };
    for _ in 0..ROUND_TRIPS {
        let asked = Instant::now();
        let metadata = metadata(admin, Some(topic)).await?;
        distance.round_trip = distance.round_trip.min(asked.elapsed());
        distance.brokers = u32::try_from(metadata.brokers().len()).map_or(1, |brokers| brokers.max(1));
    }
    Ok(distance)
}

/// How many partitions each topic has that the broker knows.
pub(super) fn partitions(metadata: &Metadata) -> HashMap<String, u32> {
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
    known
        .filter_map(|topic| {
            let count = u32::try_from(topic.partitions().len()).ok()?;
            (count > 0).then(|| (topic.name().to_owned(), count))
        })
        .collect()
}
