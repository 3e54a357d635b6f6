//! Topics' names in a cluster that several environments share.

use std::collections::HashMap;

use crate::event::topic;

/// Gives each topic the name that it has in the cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct TopicNames {
    prefix: String,
    /// Joined once, because each record asks.
    joined: HashMap<String, String>,
}

impl TopicNames {
    /// All topics with this prefix, which may be empty.
    ///
    /// # Errors
    /// No topic can have it, and why.
    pub(super) fn new(prefix: String) -> Result<Self, String> {
        match topic::fault(&format!("{prefix}x")) {
            Some(fault) => Err(format!("no topic can have the prefix {prefix:?}: {fault}")),
            None => Ok(Self {
                prefix,
                joined: HashMap::new(),
            }),
        }
    }

    /// The topic's name in the cluster.
    pub(super) fn of<'a>(&'a mut self, topic: &'a str) -> &'a str {
        if self.prefix.is_empty() {
            return topic;
        }
        if !self.joined.contains_key(topic) {
            let joined = format!("{}{topic}", self.prefix);
            self.joined.insert(topic.to_owned(), joined);
        }
        self.joined.get(topic).map_or(topic, String::as_str)
    }

    /// The same, of a topic whose name was asked for before.
    pub(super) fn known<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match self.prefix.is_empty() {
            true => Some(topic),
            false => self.joined.get(topic).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TopicNames;

    #[test]
    fn a_prefix_stands_before_each_name() {
        let mut plain = TopicNames::default();
        assert_eq!(plain.of("orders"), "orders");
        assert_eq!(plain.known("orders"), Some("orders"));
        let mut prefixed = TopicNames::new("dev.".to_owned()).unwrap();
        assert_eq!(prefixed.known("orders"), None);
        for _ in 0..2 {
            assert_eq!(prefixed.of("orders"), "dev.orders");
            assert_eq!(prefixed.of("payments"), "dev.payments");
            assert_eq!(prefixed.known("orders"), Some("dev.orders"));
        }
    }

    #[test]
    fn a_prefix_that_no_topic_can_have_is_refused() {
        for bad in ["dev/", "dev ", "é"] {
            assert!(TopicNames::new(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
