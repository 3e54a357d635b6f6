//! Which topics there should be: the events name them, `outbox.toml` says how they are set up.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use outbox_runtime::catalog::CatalogDocument;

use crate::config::{Topics, closest};
use crate::failure::Failure;

/// The topics that there should be, in the order of their names.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) topics: Vec<WantedTopic>,
    /// Templates of which no topic is named in `outbox.toml`: which topics they stand for is not known.
    pub(crate) open_templates: Vec<String>,
}

/// A topic as it should be; what is `None` is left to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedTopic {
    pub(crate) name: String,
    pub(crate) partitions: Option<NonZeroU16>,
    pub(crate) replication_factor: Option<NonZeroU16>,
    pub(crate) settings: BTreeMap<String, String>,
}

impl Wanted {
    /// The topics of the catalog's events, and those that `outbox.toml` names for their templates. A name there
    /// that no event goes to is a slip of the pen, or left over.
    pub(crate) fn new(catalog: &CatalogDocument, topics: &Topics, prefix: &str) -> Result<Self, Failure> {
        let (templates, mut names): (BTreeSet<&str>, BTreeSet<&str>) = catalog
            .events
            .iter()
            .map(|event| event.topic.as_str())
            .partition(|topic| topic.contains('{'));
        let mut open_templates: BTreeSet<&str> = templates.clone();
        for name in topics.named() {
            let of: Vec<&str> = templates
                .iter()
                .copied()
                .filter(|template| expands(template, name))
                .collect();
            if templates.contains(name) || (of.is_empty() && !names.contains(name)) {
                return Err(stray(name, &names, &templates));
            }
            open_templates.retain(|template| !of.contains(template));
            names.insert(name);
        }
        Ok(Self {
            topics: names
                .into_iter()
                .map(|name| WantedTopic::new(name, topics, prefix))
                .collect(),
            open_templates: open_templates.into_iter().map(str::to_owned).collect(),
        })
    }
}

impl WantedTopic {
    fn new(name: &str, topics: &Topics, prefix: &str) -> Self {
        let topic = topics.of(name);
        Self {
            name: format!("{prefix}{name}"),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            settings: topic.settings(),
        }
    }
}

fn stray(name: &str, names: &BTreeSet<&str>, templates: &BTreeSet<&str>) -> Failure {
    let failure = Failure::usage(format!("[topics.\"{name}\"]: no event has this topic"));
    if templates.contains(name) {
        return failure
            .because("it is a template for several topics")
            .advise("write a section for each topic that it stands for");
    }
    let known: Vec<String> = names
        .iter()
        .chain(templates)
        .map(|name| (*name).to_owned())
        .collect();
    failure.advise(match closest(name, &known) {
        Some(meant) => format!("did you mean `{meant}`? `outbox catalog` lists the events with their topics"),
        None => "`outbox catalog` lists the events with their topics".to_owned(),
    })
}

/// Whether a template such as `shop.{region}.orders` can become this name.
fn expands(template: &str, name: &str) -> bool {
    let Some((literal, rest)) = template.split_once('{') else {
        return template == name;
    };
    let Some(name) = name.strip_prefix(literal) else {
        return false;
    };
    let rest = rest.split_once('}').map_or("", |(_, rest)| rest);
    // A field is never empty: each place where the rest could go on is tried.
    name.char_indices()
        .map(|(at, letter)| at + letter.len_utf8())
        .any(|at| expands(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_becomes_names_that_fit() {
        assert!(expands("shop.{region}.orders", "shop.eu.orders"));
        assert!(expands("shop.{region}.orders", "shop.eu.west.orders"));
        assert!(expands("{a}-{b}", "x-y-z"));
        assert!(expands("shop.orders", "shop.orders"));
        for name in [
            "shop..orders",
            "shop.eu.order",
            "shop.eu.orders.",
            "hop.eu.orders",
        ] {
            assert!(!expands("shop.{region}.orders", name), "{name}");
        }
    }
}
