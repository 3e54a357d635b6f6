//! `outbox generate acls`: access control lists of Kafka, with exactly what each kind of client needs.

use crate::acls::{Client, Names, Rule, prefix_of, rules, script};
use crate::arguments::GenerateAcls;
use crate::command::print;
use crate::config::{ConfigFile, Topics};
use crate::failure::Failure;
use crate::say::say;
use crate::topics::Wanted;
use crate::{Exit, catalog};

pub(super) fn run(arguments: &GenerateAcls) -> Result<Exit, Failure> {
    let given = arguments.source.source();
    let file = ConfigFile::search(&given)?;
    let configured = file.as_ref().and_then(|file| file.config.topic_prefix.as_deref());
    let prefix = arguments.prefix.or(configured)?;
    let wanted = match &file {
        Some(file) => Wanted::new(
            &catalog::load(&file.source(&given))?,
            &file.config.topics,
            &prefix,
        )?,
        None => Wanted::new(&catalog::load(&given)?, &Topics::default(), &prefix)?,
    };
    let names = names(arguments, wanted, &prefix);
    let clients = match arguments.client.as_slice() {
        [] if names.groups.is_empty() => {
            say("note: no rules for consumers: give their groups with --consumer-group");
            vec![Client::Relay, Client::RelayExactlyOnce, Client::Operator]
        }
        [] => vec![
            Client::Relay,
            Client::RelayExactlyOnce,
            Client::Consumer,
            Client::Operator,
        ],
        chosen if chosen.contains(&Client::Consumer) && names.groups.is_empty() => {
            return Err(
                Failure::usage("a consumer needs a right to its group").advise("give --consumer-group")
            );
        }
        chosen => chosen.to_vec(),
    };
    let all: Vec<Rule> = clients
        .into_iter()
        .flat_map(|client| rules(client, principal(arguments, client), &names))
        .collect();
    match arguments.json {
        true => print(
            serde_json::to_string_pretty(&all)
                .map_err(|error| Failure::failed("cannot write the rules as JSON").because(error))?,
        )?,
        false => print(script(&all).trim_end())?,
    }
    Ok(Exit::Done)
}

fn names(arguments: &GenerateAcls, wanted: Wanted, prefix: &str) -> Names {
    let mut prefixes = Vec::new();
    for template in &wanted.open_templates {
        match prefix_of(template) {
            Some(literal) => {
                say(format_args!(
                    "note: {template} is a template: its rules are for all topics that begin with {prefix}{literal}; list \
                     its topics in outbox.toml for narrower ones"
                ));
                prefixes.push(format!("{prefix}{literal}"));
            }
            None => say(format_args!(
                "note: {template} is a template that can be any topic: no rules for it; list its topics in outbox.toml"
            )),
        }
    }
    prefixes.sort();
    prefixes.dedup();
    Names {
        topics: wanted.topics.into_iter().map(|topic| topic.name).collect(),
        prefixes,
        cursor_topic: arguments.cursor_topic.clone(),
        transactional_id_prefix: arguments.transactional_id_prefix.clone(),
        groups: arguments.consumer_group.clone(),
    }
}

fn principal(arguments: &GenerateAcls, client: Client) -> &str {
    match client {
        Client::Relay | Client::RelayExactlyOnce => &arguments.relay_principal,
        Client::Consumer => &arguments.consumer_principal,
        Client::Operator => &arguments.operator_principal,
    }
}
