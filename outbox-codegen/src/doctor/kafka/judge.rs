//! From facts to findings.

use super::facts::{KafkaFacts, Topic};
use crate::doctor::{Code, Finding};

/// So many replicas survive the loss of a broker while another one is being repaired.
const REPLICAS: usize = 3;

pub(crate) fn judge(facts: &KafkaFacts) -> Vec<Finding> {
    let mut findings = judge_broker(facts);
    findings.extend(judge_names(facts));
    for topic in &facts.topics {
        findings.extend(judge_replicas(topic, facts.brokers));
        findings.extend(judge_partitions(topic));
        findings.extend(judge_settings(topic, facts));
    }
    findings
}

fn judge_broker(facts: &KafkaFacts) -> Vec<Finding> {
    let Some(settings) = facts.broker_settings.known() else {
        return facts
            .broker_settings
            .hidden()
            .map(|hidden| hidden.finding())
            .into_iter()
            .collect();
    };
    let is_on = |name: &str| settings.get(name).is_some_and(|value| value == "true");
    let mut findings = Vec::new();
    if is_on("auto.create.topics.enable") {
        findings.push(
            Finding::new(
                Code::AutoCreateTopics,
                "auto.create.topics.enable is on: a misspelled topic is created with the brokers' defaults",
            )
            .advice("set auto.create.topics.enable=false in the brokers' server.properties and restart them"),
        );
    }
    findings
}

/// Topics that are not there, or not as `outbox.toml` says.
fn judge_names(facts: &KafkaFacts) -> Vec<Finding> {
    let missing = facts.missing.iter().map(|name| match facts.cursor_topic.as_ref() == Some(name) {
        true => Finding::new(
            Code::CursorTopicMissing,
            format!("the log is delivered exactly once, and its cursor topic {name} does not exist or may not be described"),
        )
        .advice("check --cursor-topic; a relay creates the topic when a log starts to be delivered exactly once"),
        false => Finding::new(Code::TopicMissing, format!("the topic {name} does not exist, or may not be described"))
            .command("outbox topics apply"),
    });
    let differences = facts.differences.iter().map(|difference| {
        let (topic, what, wanted) = (&difference.topic, difference.what.as_str(), &difference.wanted);
        let server = "--bootstrap-server …";
        match what {
            "partitions" => Finding::new(
                Code::TopicDiffers,
                format!("{difference}; whether records of the same keys are already in the topic is not known here"),
            )
            .command(format!("kafka-topics.sh {server} --alter --topic {topic} --partitions {wanted}"))
            .advice("or correct outbox.toml: Kafka adds partitions and never removes any"),
            "replication_factor" => Finding::new(Code::TopicDiffers, difference.to_string())
                .advice("change it with kafka-reassign-partitions.sh, or correct outbox.toml"),
            setting => Finding::new(Code::TopicDiffers, difference.to_string()).command(alter(topic, setting, wanted)),
        }
    });
    let templates = facts.open_templates.iter().map(|template| {
        Finding::new(
            Code::TopicTemplate,
            format!("which topics {template} stands for is not known"),
        )
        .advice("list them in outbox.toml, each in a section [topics.\"…\"]")
    });
    missing.chain(differences).chain(templates).collect()
}

fn judge_replicas(topic: &Topic, brokers: usize) -> Vec<Finding> {
    let (name, replicas) = (&topic.name, topic.replicas());
    let mut findings = Vec::new();
    if replicas < REPLICAS.min(brokers) {
        findings.push(
            Finding::new(
                Code::Replication,
                format!("the topic {name} has {replicas} replicas, and there are {brokers} brokers"),
            )
            .advice(format!(
                "give it {} replicas with kafka-reassign-partitions.sh",
                REPLICAS.min(brokers)
            )),
        );
    }
    let Some(in_sync) = topic
        .setting("min.insync.replicas")
        .and_then(|value| value.parse::<usize>().ok())
    else {
        return findings;
    };
    let lower = |to: usize| alter(name, "min.insync.replicas", &to.to_string());
    if in_sync > replicas {
        let reason = format!(
            "the topic {name} asks for {in_sync} replicas in sync (min.insync.replicas) and has {replicas}: every record is refused"
        );
        findings.push(
            Finding::new(Code::MinInsyncTooHigh, reason).command(lower(replicas.saturating_sub(1).max(1))),
        );
    } else if in_sync == replicas && replicas > 1 {
        let reason = format!(
            "min.insync.replicas of the topic {name} is {in_sync}, as many as its replicas: one broker away stops it"
        );
        findings.push(Finding::new(Code::NoSpareReplica, reason).command(lower(replicas - 1)));
    } else if in_sync < 2 && replicas >= REPLICAS {
        let reason = format!(
            "min.insync.replicas of the topic {name} is {in_sync}: a record that one replica has is acknowledged, and lost with it"
        );
        findings.push(Finding::new(Code::MinInsyncReplicas, reason).command(lower(2)));
    }
    findings
}

fn judge_partitions(topic: &Topic) -> Vec<Finding> {
    let needed = topic
        .setting("min.insync.replicas")
        .and_then(|value| value.parse().ok())
        .unwrap_or(1);
    let count =
        |is: &dyn Fn(&super::facts::Partition) -> bool| topic.partitions.iter().filter(|one| is(one)).count();
    let offline = count(&|one| !one.has_leader || (one.in_sync < needed && one.replicas >= needed));
    let behind = count(&|one| one.in_sync < one.replicas);
    let (name, all) = (&topic.name, topic.partitions.len());
    if offline > 0 {
        let reason =
            format!("{offline} of {all} partitions of the topic {name} take no records: brokers are away");
        return vec![
            Finding::new(Code::PartitionOffline, reason).advice("bring the brokers back that have them"),
        ];
    }
    if behind > 0 {
        let reason =
            format!("{behind} of {all} partitions of the topic {name} have replicas that are not in sync");
        return vec![
            Finding::new(Code::UnderReplicated, reason).advice("find out which broker is away or slow"),
        ];
    }
    Vec::new()
}

fn judge_settings(topic: &Topic, facts: &KafkaFacts) -> Vec<Finding> {
    let name = &topic.name;
    if let Some(hidden) = topic.settings.hidden() {
        return vec![hidden.finding()];
    }
    let mut findings = Vec::new();
    if topic.setting("unclean.leader.election.enable") == Some("true") {
        let reason = format!(
            "unclean.leader.election.enable is on for the topic {name}: acknowledged records can be lost"
        );
        let command = alter(name, "unclean.leader.election.enable", "false");
        findings.push(Finding::new(Code::UncleanElection, reason).command(command));
    }
    if facts.cursor_topic.as_ref() == Some(name)
        && let Some(policy) = topic
            .setting("cleanup.policy")
            .filter(|policy| *policy != "compact")
    {
        let retention = topic.setting("retention.ms").unwrap_or("unknown");
        let reason = format!(
            "the cursor topic {name} has cleanup.policy={policy} (retention.ms={retention}): Kafka deletes the cursor of a log \
             that is idle for that long, and its relay stops"
        );
        findings.push(Finding::new(Code::CursorTopicPolicy, reason).command(alter(
            name,
            "cleanup.policy",
            "compact",
        )));
    }
    findings.extend(judge_size(topic, facts));
    findings
}

fn judge_size(topic: &Topic, facts: &KafkaFacts) -> Option<Finding> {
    let limit: i64 = topic.setting("max.message.bytes")?.parse().ok()?;
    let largest = facts
        .payloads
        .iter()
        .find(|payload| payload.topic == topic.name)?
        .bytes;
    let code = match (largest > limit, largest > limit / 10 * 9) {
        (true, _) => Code::MessageTooLarge,
        (false, true) => Code::MessageNearLimit,
        (false, false) => return None,
    };
    let reason = format!(
        "the largest of the newest messages for the topic {} has {largest} bytes, and its max.message.bytes is {limit}",
        topic.name
    );
    let doubled = largest.saturating_mul(2).to_string();
    Some(
        Finding::new(code, reason)
            .command(alter(&topic.name, "max.message.bytes", &doubled))
            .advice("or send less: a reference to the data in place of the data"),
    )
}

/// The command that sets a topic's setting. A list needs brackets.
fn alter(topic: &str, setting: &str, value: &str) -> String {
    let value = if value.contains(',') {
        format!("[{value}]")
    } else {
        value.to_owned()
    };
    format!(
        "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name {topic} --add-config {setting}={value}"
    )
}

#[cfg(test)]
mod tests;
