//! What becomes of a key whose record is dead: it goes on without it, or waits behind it.

use crate::relay::error::RelayError;

/// The topics whose keys wait behind a dead record, as they are configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Blocking {
    names: Vec<String>,
    /// What names have to begin with.
    prefixes: Vec<String>,
}

impl Blocking {
    /// From names of topics; a `*` at the end stands for any rest.
    pub(super) fn new(patterns: &[String]) -> Self {
        let mut blocking = Self::default();
        for pattern in patterns {
            match pattern.strip_suffix('*') {
                Some(prefix) => blocking.prefixes.push(prefix.to_owned()),
                None => blocking.names.push(pattern.clone()),
            }
        }
        blocking
    }

    pub(super) fn check(patterns: &[String]) -> Result<(), RelayError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        for pattern in patterns {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            if pattern.is_empty() || !name.bytes().all(legal) {
                return Err(RelayError::configuration(format!(
                    "`block` names `{pattern}`, which no topic can be called: write a topic's name, or the beginning of \
                     several with a `*` behind it"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn covers(&self, topic: &str) -> bool {
        self.names.iter().any(|name| name == topic)
            || self.prefixes.iter().any(|prefix| topic.starts_with(prefix))
    }

    /// Whether no topic blocks.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_whole_or_by_their_beginning() {
        let patterns = ["orders".to_owned(), "billing.*".to_owned()];
        let blocking = Blocking::new(&patterns);
        for covered in ["orders", "billing.", "billing.paid.v1"] {
            assert!(blocking.covers(covered), "{covered}");
        }
        for other in ["orders.v1", "billing", "order"] {
            assert!(!blocking.covers(other), "{other}");
        }
        assert!(Blocking::new(&["*".to_owned()]).covers("anything"));
        assert!(Blocking::default().is_empty() && !blocking.is_empty());
    }

    #[test]
    fn what_cannot_be_a_topic_is_refused() {
        for wrong in ["", "a b", "*x", "a**", "ö"] {
            let error = Blocking::check(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("`block`"), "{error}");
        }
        assert!(Blocking::check(&["*".to_owned(), "a.*".to_owned()]).is_ok());
    }
}
