//! The rules, without a cluster: the same as in docs/connections.md.

use clap::ValueEnum;
use serde::Serialize;

/// A kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Client {
    /// A relay that delivers at least once.
    Relay,
    /// A relay that delivers exactly once.
    RelayExactlyOnce,
    /// A service that reads the topics with the library's consumer.
    Consumer,
    /// A person or a job: `outbox topics`, `outbox doctor` and `outbox inspect` with brokers.
    Operator,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resource {
    Topic,
    Group,
    TransactionalId,
    Cluster,
}

/// How the names of a rule are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pattern {
    Literal,
    Prefixed,
}

/// Operations that a principal is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rule {
    pub(crate) client: Client,
    pub(crate) principal: String,
    pub(crate) resource: Resource,
    pub(crate) pattern: Pattern,
    /// Empty for the cluster.
    pub(crate) names: Vec<String>,
    /// By Kafka's names.
    pub(crate) operations: Vec<&'static str>,
}

/// The names that the rules are about.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// Topics of the events, as the cluster has them.
    pub(crate) topics: Vec<String>,
    /// What the names of further topics begin with: those of templates that `outbox.toml` does not list.
    pub(crate) prefixes: Vec<String>,
    pub(crate) cursor_topic: String,
    pub(crate) transactional_id_prefix: String,
    pub(crate) groups: Vec<String>,
}

/// The rules of a kind of client.
pub(crate) fn rules(client: Client, principal: &str, names: &Names) -> Vec<Rule> {
    let rule = |resource, pattern, names: &[String], operations: &[&'static str]| Rule {
        client,
        principal: principal.to_owned(),
        resource,
        pattern,
        names: names.to_vec(),
        operations: operations.to_vec(),
    };
    let of_events = |operations: &[&'static str]| {
        [
            rule(Resource::Topic, Pattern::Literal, &names.topics, operations),
            rule(Resource::Topic, Pattern::Prefixed, &names.prefixes, operations),
        ]
    };
    // To write, to read and to create topics allows to describe them.
    let mut rules: Vec<Rule> = match client {
        Client::Relay | Client::RelayExactlyOnce => of_events(&["Write", "DescribeConfigs"]).into(),
        Client::Consumer => of_events(&["Read"]).into(),
        Client::Operator => of_events(&["Create", "Describe", "DescribeConfigs", "Read"]).into(),
    };
    match client {
        Client::Relay => {}
        Client::RelayExactlyOnce => rules.extend([
            rule(
                Resource::TransactionalId,
                Pattern::Prefixed,
                std::slice::from_ref(&names.transactional_id_prefix),
                &["Write"],
            ),
            rule(
                Resource::Topic,
                Pattern::Literal,
                std::slice::from_ref(&names.cursor_topic),
                &["Create", "Read", "Write"],
            ),
        ]),
        Client::Consumer => rules.push(rule(Resource::Group, Pattern::Literal, &names.groups, &["Read"])),
        Client::Operator => rules.extend([
            rule(
                Resource::Topic,
                Pattern::Literal,
                std::slice::from_ref(&names.cursor_topic),
                &["Describe", "DescribeConfigs"],
            ),
            rule(Resource::Cluster, Pattern::Literal, &[], &["DescribeConfigs"]),
        ]),
    }
    rules.retain(|rule| rule.resource == Resource::Cluster || !rule.names.is_empty());
    rules
}

/// What the names of a template's topics begin with. Nothing if they may begin with anything.
pub(crate) fn prefix_of(template: &str) -> Option<&str> {
    let (literal, _) = template.split_once('{')?;
    (!literal.is_empty()).then_some(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            topics: vec!["a".to_owned(), "b".to_owned()],
            prefixes: Vec::new(),
            cursor_topic: "cursors".to_owned(),
            transactional_id_prefix: "outbox-".to_owned(),
            groups: vec!["billing".to_owned()],
        }
    }

    #[test]
    fn nobody_gets_more_than_documented() {
        let of = |client| {
            let rules = rules(client, "User:x", &names());
            rules
                .iter()
                .map(|rule| {
                    format!(
                        "{:?} {}: {}",
                        rule.resource,
                        rule.names.join(","),
                        rule.operations.join(",")
                    )
                })
                .collect::<Vec<_>>()
        };
        let relay = "Topic a,b: Write,DescribeConfigs";
        assert_eq!(of(Client::Relay), [relay]);
        assert_eq!(
            of(Client::RelayExactlyOnce),
            [
                relay,
                "TransactionalId outbox-: Write",
                "Topic cursors: Create,Read,Write"
            ]
        );
        assert_eq!(of(Client::Consumer), ["Topic a,b: Read", "Group billing: Read"]);
        assert_eq!(
            of(Client::Operator),
            [
                "Topic a,b: Create,Describe,DescribeConfigs,Read",
                "Topic cursors: Describe,DescribeConfigs",
                "Cluster : DescribeConfigs"
            ]
        );
    }

    #[test]
    fn a_template_gives_its_beginning() {
        assert_eq!(prefix_of("shop.{region}.orders"), Some("shop."));
        assert_eq!(prefix_of("{region}.orders"), None);
        assert_eq!(prefix_of("orders"), None);
    }
}
