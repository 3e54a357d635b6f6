//! Which duplicates are those of a rewind.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use uuid::Uuid;

use super::passes::Pass;
use super::watcher::Duplicate;

/// An operator had delivered messages sent again.
#[derive(Debug)]
pub(super) struct Rewound {
    /// Before the rewind. What nobody had seen by then may have been on its way, and comes again with the rest.
    pub(super) begun: Instant,
    /// The messages from there on, as they were in the log before and after, and late ones that come with them.
    pub(super) ids: HashSet<Uuid>,
    /// What is sent again, and when that began.
    pub(super) pass: Pass,
    /// The newest message in the log after it: nothing newer is sent again.
    pub(super) newest: i64,
    /// Those that have to arrive once more than so often, by topic.
    pub(super) awaited: HashMap<Uuid, (String, usize)>,
}

impl Rewound {
    fn explains(&self, duplicate: &Duplicate) -> bool {
        self.ids.contains(&duplicate.id) || duplicate.first_seen >= self.begun
    }
}

/// The rewinds since the last look but one: a record may be read a little later than it was written.
#[derive(Debug, Default)]
pub(super) struct Rewinds {
    before: Vec<Rewound>,
    now: Vec<Rewound>,
    /// Duplicates that they explain.
    pub(super) explained: usize,
    /// All of the round.
    pub(super) passes: Vec<Pass>,
}

impl Rewinds {
    pub(super) fn happened(&mut self, mut rewound: Rewound) {
        self.passes.push(std::mem::take(&mut rewound.pass));
        self.now.push(rewound);
    }

    /// Leaves the duplicates that no rewind explains.
    pub(super) fn explain(&mut self, mut duplicates: Vec<Duplicate>) -> Vec<Duplicate> {
        let all = duplicates.len();
        duplicates.retain(|duplicate| {
            let mut rewinds = self.now.iter().chain(&self.before);
            !rewinds.any(|rewound| rewound.explains(duplicate))
        });
        self.explained += all - duplicates.len();
        self.before = std::mem::take(&mut self.now);
        duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_again_is_explained_and_for_two_looks() {
        let (again, before, later) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let earlier = Instant::now();
        let begun = Instant::now();
        let duplicate = |id, first_seen| Duplicate {
            id,
            first_seen,
            text: String::new(),
        };
        let duplicates = || {
            vec![
                duplicate(again, earlier),
                duplicate(before, earlier),
                duplicate(later, begun),
            ]
        };
        let mut rewinds = Rewinds::default();
        assert_eq!(rewinds.explain(duplicates()).len(), 3, "there was none");
        rewinds.happened(Rewound {
            begun,
            ids: HashSet::from([again]),
            pass: Pass::default(),
            newest: 0,
            awaited: HashMap::new(),
        });
        for _ in 0..2 {
            let left = rewinds.explain(duplicates());
            assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [before]);
        }
        assert_eq!(rewinds.explain(duplicates()).len(), 3);
        assert_eq!(rewinds.explained, 4);
    }
}
