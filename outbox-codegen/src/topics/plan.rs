//! What is missing and what is different: pure, so that each case is tried without a broker.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::WantedTopic;

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActualTopic {
    pub(crate) partitions: usize,
    pub(crate) replication_factor: usize,
    /// What holds for it, from whomever, by Kafka's names; empty where the cluster holds it for a secret.
    pub(crate) settings: BTreeMap<String, String>,
}

/// What has to be done, and what is not as it should be.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Plan {
    /// Topics that are not there.
    pub(crate) missing: Vec<String>,
    pub(crate) differences: Vec<Difference>,
}

/// Something that is not as `outbox.toml` says. Nothing changes it but a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) topic: String,
    /// `partitions`, `replication_factor`, or a setting by Kafka's name.
    pub(crate) what: String,
    pub(crate) wanted: String,
    /// None: the cluster knows no such setting.
    pub(crate) actual: Option<String>,
}

impl Plan {
    /// Compares; `actual` is by name.
    pub(crate) fn new(wanted: &[WantedTopic], actual: &BTreeMap<String, ActualTopic>) -> Self {
        let mut plan = Self::default();
        for topic in wanted {
            match actual.get(&topic.name) {
                Some(there) => plan.differences.extend(differences(topic, there)),
                None => plan.missing.push(topic.name.clone()),
            }
        }
        plan
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.differences.is_empty()
    }
}

fn differences(wanted: &WantedTopic, there: &ActualTopic) -> Vec<Difference> {
    let difference = |what: &str, wanted_value: String, actual: Option<String>| Difference {
        topic: wanted.name.clone(),
        what: what.to_owned(),
        wanted: wanted_value,
        actual,
    };
    let counts = [
        ("partitions", wanted.partitions, there.partitions),
        (
            "replication_factor",
            wanted.replication_factor,
            there.replication_factor,
        ),
    ];
    let counts = counts.into_iter().filter_map(|(what, wanted, actual)| {
        let wanted = usize::from(wanted?.get());
        (wanted != actual).then(|| difference(what, wanted.to_string(), Some(actual.to_string())))
    });
    let stated = wanted.settings.iter().filter_map(|(name, value)| {
        let actual = there.settings.get(name);
        let same = actual.is_some_and(|actual| is_same(value, actual));
        (!same).then(|| difference(name, value.clone(), actual.cloned()))
    });
    counts.chain(stated).collect()
}

/// Whether two values say the same: lists have no order, and `0.50` is `0.5`.
fn is_same(wanted: &str, actual: &str) -> bool {
    let list = |text: &str| {
        let mut items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
        items.sort();
        items
    };
    let number = |text: &str| text.trim().parse::<f64>().ok();
    list(wanted) == list(actual) || number(wanted).is_some_and(|wanted| number(actual) == Some(wanted))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            what,
            wanted,
            actual,
        } = self;
        match actual {
            Some(actual) => write!(f, "{topic}: {what} is {actual}, not {wanted}")?,
            None => write!(
                f,
                "{topic}: {what} should be {wanted}, but the cluster does not support the setting"
            )?,
        }
        match what.as_str() {
            "partitions" => f.write_str(
                " (changing the number moves keys to other partitions, and their order is not kept across the change)",
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn wanted(settings: &[(&str, &str)]) -> WantedTopic {
        WantedTopic {
            name: "orders".to_owned(),
            partitions: NonZeroU16::new(3),
            replication_factor: NonZeroU16::new(1),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn there(partitions: usize, settings: &[(&str, &str)]) -> BTreeMap<String, ActualTopic> {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let topic = ActualTopic {
            partitions,
            replication_factor: 1,
            settings: settings.collect(),
        };
        [("orders".to_owned(), topic)].into()
    }

    fn reported(wanted: WantedTopic, there: &BTreeMap<String, ActualTopic>) -> Vec<String> {
        let plan = Plan::new(&[wanted], there);
        plan.differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_topic_that_is_as_it_should_be_is_in_no_plan() {
        let wanted = wanted(&[
            ("cleanup.policy", "compact,delete"),
            ("min.cleanable.dirty.ratio", "0.50"),
        ]);
        let there = there(
            3,
            &[
                ("cleanup.policy", "delete, compact"),
                ("min.cleanable.dirty.ratio", "0.5"),
                ("retention.ms", "604800000"),
            ],
        );
        assert!(Plan::new(&[wanted], &there).is_empty());
    }

    #[test]
    fn each_difference_is_reported() {
        let there = there(
            2,
            &[
                ("retention.ms", "1000"),
                ("max.message.bytes", "5"),
                ("flush.ms", "7"),
            ],
        );
        let wanted = wanted(&[
            ("retention.ms", "2000"),
            ("max.message.bytes", "5"),
            ("retention.mss", "1"),
        ]);
        let wanted = WantedTopic {
            replication_factor: NonZeroU16::new(3),
            ..wanted
        };
        let mut lines = reported(wanted, &there);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert_eq!(lines.remove(1), "orders: replication_factor is 1, not 3");
        assert!(
            lines[0].starts_with("orders: partitions is 2, not 3 (changing"),
            "{lines:#?}"
        );
        assert_eq!(lines[1], "orders: retention.ms is 1000, not 2000");
        assert!(
            lines[2].contains("retention.mss should be 1, but the cluster does not support"),
            "{lines:#?}"
        );
    }

    #[test]
    fn what_is_not_said_is_left_to_the_broker() {
        let silent = WantedTopic {
            partitions: None,
            replication_factor: None,
            ..wanted(&[])
        };
        assert!(Plan::new(&[silent], &there(9, &[("retention.ms", "1000")])).is_empty());
    }

    #[test]
    fn a_topic_that_is_not_there_is_missing() {
        let plan = Plan::new(&[wanted(&[])], &BTreeMap::new());
        assert_eq!(
            (plan.missing.as_slice(), plan.differences.len()),
            (&["orders".to_owned()][..], 0)
        );
    }
}
