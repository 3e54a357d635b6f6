//! Which of the listed reasons explains a duplicate.
//!
//! A relay that knows of one says so in its log, and a relay that was killed cannot. Between two looks at the
//! duplicates, everything that happened is noted; duplicates that appear while nothing did have no reason. What
//! happened just before the last look still counts: a record may be read a little later than it was written.

use std::collections::BTreeMap;

/// What a relay logs when it knows that records may come twice, and the reason that stands for.
const REPORTED: [(&str, &str); 3] = [
    (
        "the lease was lost; records that are not recorded as settled may be sent twice",
        "a lease was lost",
    ),
    (
        "has to be rebuilt; records in flight may be sent twice",
        "a producer was rebuilt",
    ),
    (
        "stopped before every record was recorded as settled",
        "a stop's deadline passed",
    ),
];

/// What explains duplicates, and how many were explained by what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reasons {
    before: Vec<&'static str>,
    now: Vec<&'static str>,
    /// Duplicates by reason.
    pub(super) explained: BTreeMap<&'static str, usize>,
    /// Nothing does: exactly once is promised.
    none_counts: bool,
}

impl Reasons {
    /// For relays that deliver exactly once.
    pub(super) fn that_explain_nothing() -> Self {
        Self {
            none_counts: true,
            ..Self::default()
        }
    }

    /// Something happened that explains duplicates.
    pub(super) fn happened(&mut self, reason: &'static str) {
        if !self.none_counts && !self.now.contains(&reason) {
            self.now.push(reason);
        }
    }

    /// What a relay logged.
    pub(super) fn reported(&mut self, log: &str) {
        for (text, reason) in REPORTED {
            if log.contains(text) {
                self.happened(reason);
            }
        }
    }

    /// So many duplicates were seen since the last look. Says whether something explains them.
    pub(super) fn explain(&mut self, duplicates: usize) -> bool {
        let reason = self.now.first().or(self.before.first()).copied();
        if let Some(reason) = reason.filter(|_| duplicates > 0) {
            *self.explained.entry(reason).or_default() += duplicates;
        }
        self.before = std::mem::take(&mut self.now);
        duplicates == 0 || reason.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_without_a_reason_are_not_explained() {
        let mut reasons = Reasons::default();
        assert!(reasons.explain(0));
        assert!(!reasons.explain(1));
        reasons.reported("INFO this relay is the active one epoch=3");
        assert!(!reasons.explain(1));
    }

    #[test]
    fn exactly_once_no_reason_counts() {
        let mut reasons = Reasons::that_explain_nothing();
        reasons.happened("a relay was killed");
        assert!(reasons.explain(0) && !reasons.explain(1));
    }

    #[test]
    fn a_reason_holds_for_two_looks() {
        let mut reasons = Reasons::default();
        reasons.reported(
            "WARN the lease was lost; records that are not recorded as settled may be sent twice records=0",
        );
        assert!(reasons.explain(7) && reasons.explain(2));
        assert!(!reasons.explain(1));
        assert_eq!(reasons.explained, BTreeMap::from([("a lease was lost", 9)]));
    }

    /// The words are those of the relay.
    #[test]
    fn what_is_looked_for_is_what_the_relay_says() {
        let relay = sources(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../outbox-runtime/src/relay"
        ));
        for (text, _) in REPORTED {
            assert!(relay.contains(text), "no relay says `{text}`");
        }
    }

    /// All Rust sources below a directory, in one text.
    fn sources(directory: impl AsRef<std::path::Path>) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text += &sources(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
        text
    }
}
