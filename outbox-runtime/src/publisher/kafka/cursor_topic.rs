//! The topic that keeps the cursors of exactly-once delivery: whether it is there, and how it is created.
//!
//! A topic that is gone means that nobody knows any more what was delivered, which ends the relay. A topic whose leader is away,
//! or that a broker does not know yet, is an outage like any other. So the first is believed only when the
//! controller says so.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataBroker;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::cursor::{CursorReader, PATIENCE, blocking, unavailable};
use super::describe::Admin;
use crate::librdkafka::{Clients, Right};
use crate::publisher::PublishError;

/// How long a topic is asked for again: a leader is elected, and a broker that has only just come back may not know
/// the topic yet.
const ASK_AGAIN_FOR: Duration = Duration::from_secs(10);

const ASK_AGAIN_EVERY: Duration = Duration::from_millis(100);

/// So many replicas survive the loss of a broker while another one is being repaired.
const REPLICAS: usize = 3;

/// What the topic is created with: each log's last record is kept for ever, and old ones go soon.
const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "33554432"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// What the brokers say of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It can be used.
    Leads { replicas: usize },
    /// It is there, and the broker that leads it is not.
    NoLeader,
    /// The broker that was asked does not know it.
    Unknown,
}

/// Makes sure that the topic is there, and connects its reader. `None` if it is not there, and not to be created.
pub(super) async fn open(
    client: &Clients,
    topic: &str,
    create: bool,
) -> Result<Option<CursorReader>, PublishError> {
    let started = Instant::now();
    let mut unknown_since = None;
    let mut created = false;
    loop {
        // Each time with new clients, which may ask another broker.
        let (look, brokers, reader) = look(client, topic).await?;
        match look {
            Look::Leads { replicas } => {
                warn_of_few(topic, replicas, brokers.len());
                return Ok(Some(reader));
            }
            Look::NoLeader => unknown_since = None,
            Look::Unknown if create && !created => {
                self::create(client, topic, &brokers).await?;
                created = true;
            }
            Look::Unknown => {
                let since = *unknown_since.get_or_insert_with(Instant::now);
                if !create && since.elapsed() > ASK_AGAIN_FOR {
                    return Ok(exists(client, topic).await?.then_some(reader));
                }
            }
        }
        if started.elapsed() > ASK_AGAIN_FOR && (create || look == Look::NoLeader) {
            return Err(unavailable(format!(
                "topic `{topic}`, which keeps the cursor of exactly-once delivery, has no leader: the brokers that \
                 have it are away"
            )));
        }
        tokio::time::sleep(ASK_AGAIN_EVERY).await;
    }
}

/// The topic, the brokers' ids, and the reader that has asked for them.
async fn look(client: &Clients, topic: &str) -> Result<(Look, Vec<i32>, CursorReader), PublishError> {
    let (client, name) = (client.clone(), topic.to_owned());
    let asked = move || {
        let reader = CursorReader::new(&client, &name)?;
        let metadata = reader.describe()?;
        Ok((metadata, reader))
    };
    let failed =
        |error: KafkaError| unavailable(format!("topic `{topic}` cannot be asked for")).with_source(error);
    let (metadata, reader) = blocking(asked).await?.map_err(failed)?;
    let found = metadata.topics().first();
    let partition = found.and_then(|found| found.partitions().first());
    let leads = partition.filter(|partition| partition.leader() >= 0);
    let look = match (found.and_then(|found| found.error()).map(Code::from), leads) {
        (None, Some(partition)) => Look::Leads {
            replicas: partition.replicas().len(),
        },
        (Some(Code::UnknownTopicOrPartition | Code::UnknownTopic), _) => Look::Unknown,
        (None, None) if partition.is_none() => Look::Unknown,
        (None | Some(Code::LeaderNotAvailable), _) => Look::NoLeader,
        (Some(code), _) => {
            let right = Right::DescribeTopic(topic).lacking(code);
            return Err(unavailable(format!(
                "topic `{topic}` cannot be used: {code}{right}"
            )));
        }
    };
    let brokers = metadata.brokers().iter().map(MetadataBroker::id).collect();
    Ok((look, brokers, reader))
}

/// Asks the controller, by pretending to create the topic, whether it exists: what a broker does not know, it may not
/// know yet.
async fn exists(client: &Clients, topic: &str) -> Result<bool, PublishError> {
    let unclear = |why: String| {
        unavailable(format!(
            "topic `{topic}` is not known to a broker, and the controller does not say whether it exists: {why}"
        ))
    };
    let admin = admin(client).map_err(|error| unclear(error.to_string()))?;
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .validate_only(true);
    let answers = admin.create_topics([&new], &options).await;
    let answers = answers.map_err(|error| unclear(error.to_string()))?;
    match answers.into_iter().find_map(Result::err).map(|(_, code)| code) {
        Some(Code::TopicAlreadyExists) => Err(unclear("it says both".to_owned())),
        // It could be created, or may not be: both are said of a topic that is not there. So is that its settings
        // would be refused, since the name is looked at first.
        None
        | Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::PolicyViolation
            | Code::InvalidReplicationFactor,
        ) => Ok(false),
        Some(code) => Err(unclear(code.to_string())),
    }
}

async fn create(client: &Clients, topic: &str, brokers: &[i32]) -> Result<(), PublishError> {
    let failed = |why: String| {
        unavailable(format!(
            "topic `{topic}`, which keeps the cursor of exactly-once delivery, could not be created: {why}. Allow \
             that, or create it with one partition, {REPLICAS} replicas and cleanup.policy=compact"
        ))
    };
    let admin = admin(client).map_err(|error| failed(error.to_string()))?;
    let wanted = wanted_replicas(brokers.len());
    let default = default_replicas(&admin, brokers).await;
    let replicas = replication(default, wanted);
    if let Some(default) = default.filter(|default| *default < wanted) {
        tracing::warn!(
            topic,
            default,
            replicas = wanted,
            "the brokers' default.replication.factor would lose the cursor of exactly-once delivery with one broker; \
             the topic is created with more replicas"
        );
    }
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(replicas));
    let new = SETTINGS
        .iter()
        .fold(new, |new, (name, value)| new.set(name, value));
    let new = match wanted >= REPLICAS {
        // A commit is in two places before it counts.
        true => new.set("min.insync.replicas", "2"),
        false => new,
    };
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin.create_topics([&new], &options).await;
    let answers = answers.map_err(|error| failed(error.to_string()))?;
    match answers.into_iter().find_map(Result::err) {
        None | Some((_, Code::TopicAlreadyExists)) => Ok(()),
        Some((_, code @ Code::InvalidReplicationFactor)) => Err(failed(format!(
            "{code}: {} brokers are there, and their default.replication.factor asks for more",
            brokers.len()
        ))),
        Some((_, code)) => Err(failed(format!(
            "{code}{}",
            Right::CreateTopic(topic).lacking(code)
        ))),
    }
}

fn admin(client: &Clients) -> Result<Admin, KafkaError> {
    client.create(DefaultClientContext)
}

/// As many as survive the loss of a broker, as far as there are brokers.
fn wanted_replicas(brokers: usize) -> usize {
    brokers.clamp(1, REPLICAS)
}

/// What to ask for: the brokers' default (-1) where that is enough, so that whoever chose more gets more.
fn replication(default: Option<usize>, wanted: usize) -> i32 {
    match default {
        Some(default) if default >= wanted => -1,
        _ => i32::try_from(wanted).unwrap_or(1),
    }
}

/// The brokers' `default.replication.factor`, if the first one reports it.
async fn default_replicas(admin: &Admin, brokers: &[i32]) -> Option<usize> {
    let broker = *brokers.first()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin
        .describe_configs([&ResourceSpecifier::Broker(broker)], &options)
        .await
        .ok()?;
    let settings = answers.into_iter().next()?.ok()?;
    settings
        .get("default.replication.factor")?
        .value
        .as_deref()?
        .parse()
        .ok()
}

/// A topic that somebody else created, or that was created when there were fewer brokers.
fn warn_of_few(topic: &str, replicas: usize, brokers: usize) {
    if replicas < wanted_replicas(brokers) {
        tracing::warn!(
            topic,
            replicas,
            brokers,
            "exactly-once delivery stops while the broker with the only replica of its cursor is \
             unavailable, and cannot continue if that broker is lost: give the topic {REPLICAS} replicas \
             with kafka-reassign-partitions.sh"
        );
    } else if replicas < REPLICAS {
        tracing::info!(
            topic,
            replicas,
            brokers,
            "the cursor of exactly-once delivery has as many replicas as there are brokers"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_used_where_it_survives_a_broker() {
        let asked = |default, brokers| replication(default, wanted_replicas(brokers));
        assert_eq!(asked(Some(3), 3), -1);
        assert_eq!(asked(Some(4), 5), -1);
        assert_eq!(asked(Some(1), 1), -1);
        assert_eq!(asked(Some(1), 3), 3);
        assert_eq!(asked(Some(2), 5), 3);
        assert_eq!(asked(Some(1), 2), 2);
        // Unknown, as where reading the brokers' settings is not allowed.
        assert_eq!(asked(None, 3), 3);
        assert_eq!(asked(None, 1), 1);
    }
}
