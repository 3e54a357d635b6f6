//! `outbox topics …`: Kafka's topics as the events name them and `outbox.toml` sets them up.

use serde::Serialize;

use super::print;
use crate::arguments::{Topics, TopicsCommand, TopicsOptions};
use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::properties::Properties;
use crate::say::say;
use crate::topics::{Cluster, Created, Plan, Wanted, WantedTopic};
use crate::{Exit, catalog};

pub(crate) async fn run(arguments: Topics) -> Result<Exit, Failure> {
    match arguments.what {
        TopicsCommand::Plan(options) => plan(options).await,
        TopicsCommand::Apply(options) => apply(options).await,
    }
}

/// What both commands start from.
struct Start {
    wanted: Wanted,
    cluster: Cluster,
    plan: Plan,
}

impl Start {
    async fn new(options: &TopicsOptions) -> Result<Self, Failure> {
        let properties = Properties::read(&options.properties)?;
        let cluster = Cluster::new(&options.brokers, properties, options.patience.connect_timeout)?;
        let file = ConfigFile::find(&options.source.source())?;
        let catalog = catalog::load(&file.source(&options.source.source()))?;
        let prefix = options.prefix.or(file.config.topic_prefix.as_deref())?;
        let wanted = Wanted::new(&catalog, &file.config.topics, &prefix)?;
        for template in &wanted.open_templates {
            say(format_args!(
                "note: {template} is a template: list the topics that it stands for in outbox.toml, each in a section [topics.\"…\"]"
            ));
        }
        let plan = Plan::new(&wanted.topics, &cluster.describe(&wanted.topics).await?);
        Ok(Self {
            wanted,
            cluster,
            plan,
        })
    }
}

async fn plan(options: TopicsOptions) -> Result<Exit, Failure> {
    let Start { wanted, plan, .. } = Start::new(&options).await?;
    if options.json {
        print_json(&plan)?;
    } else {
        for name in &plan.missing {
            print(format_args!(
                "{name}: to be created{}",
                described(&wanted.topics, name)
            ))?;
        }
        for difference in &plan.differences {
            print(difference)?;
        }
        if plan.is_empty() {
            print(format_args!(
                "nothing to do: the {} topics match",
                wanted.topics.len()
            ))?;
        }
    }
    Ok(if plan.is_empty() {
        Exit::Done
    } else {
        Exit::Differences
    })
}

/// What `apply --json` prints.
#[derive(Serialize)]
struct Applied<'a> {
    created: &'a [String],
    /// Why a topic could not be created, by name.
    refused: &'a [(String, String)],
    differences: &'a [crate::topics::Difference],
}

impl Applied<'_> {
    fn print(&self, wanted: &[WantedTopic]) -> Result<(), Failure> {
        for name in self.created {
            print(format_args!("{name}: created{}", described(wanted, name)))?;
        }
        for difference in self.differences {
            print(format_args!("left unchanged: {difference}"))?;
        }
        if self.created.is_empty() && self.refused.is_empty() && self.differences.is_empty() {
            print(format_args!("nothing to do: the {} topics match", wanted.len()))?;
        }
        Ok(())
    }
}

async fn apply(options: TopicsOptions) -> Result<Exit, Failure> {
    let Start {
        wanted,
        cluster,
        mut plan,
    } = Start::new(&options).await?;
    let missing: Vec<&WantedTopic> = wanted
        .topics
        .iter()
        .filter(|topic| plan.missing.contains(&topic.name))
        .collect();
    let (mut created, mut refused, mut overtaken) = (Vec::new(), Vec::new(), Vec::new());
    if !missing.is_empty() {
        for (topic, outcome) in missing.iter().zip(cluster.create(&missing).await?) {
            match outcome {
                Created::Now => created.push(topic.name.clone()),
                Created::Already => overtaken.push((*topic).clone()),
                Created::Refused(reason) => refused.push((topic.name.clone(), reason)),
            }
        }
    }
    if !overtaken.is_empty() {
        let there = cluster.describe(&overtaken).await?;
        let Plan { missing, differences } = Plan::new(&overtaken, &there);
        plan.differences.extend(differences);
        let unseen = "it exists, but may not be described: allow Describe on it";
        refused.extend(missing.into_iter().map(|name| (name, unseen.to_owned())));
    }
    let applied = Applied {
        created: &created,
        refused: &refused,
        differences: &plan.differences,
    };
    match options.json {
        true => print_json(&applied)?,
        false => applied.print(&wanted.topics)?,
    }
    if refused.is_empty() {
        return Ok(Exit::Done);
    }
    let refused: Vec<String> = refused
        .iter()
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    Err(Failure::failed(format!(
        "the cluster refused to create these topics:\n  {}",
        refused.join("\n  ")
    ))
    .advise("change their settings in outbox.toml or the broker's rules; the other topics exist"))
}

/// How a topic is created, for the line that says so.
fn described(topics: &[WantedTopic], name: &str) -> String {
    let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
        return String::new();
    };
    let counts = [
        ("partitions", topic.partitions),
        ("replication_factor", topic.replication_factor),
    ];
    let counts = counts
        .into_iter()
        .filter_map(|(what, count)| count.map(|count| format!("{what}={count}")));
    let settings = topic
        .settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let all: Vec<String> = counts.chain(settings).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" with {}", all.join(" "))
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed("cannot write the result as JSON").because(error))?;
    print(text)
}
