//! The models that are searched: each small in one direction, and complete in the others.

use crate::store::RowPlan;
use crate::system::{Budget, Protections, System};

const fn row(transaction: usize, key: usize) -> RowPlan {
    RowPlan {
        transaction,
        key,
        poison: false,
    }
}

/// Two transactions that begin, insert and end in every order, beside one relay that looks at any step.
pub(crate) fn commits(protections: Protections) -> System {
    System {
        protections,
        rows: vec![row(0, 0), row(1, 0), row(1, 0)],
        transactions: 2,
        committed: 0,
        relays: 1,
        budget: Budget {
            aborts: 1,
            ..Budget::default()
        },
    }
}

/// The same, with a relay that may read again from the cursor, while the sequence may begin anew at any step.
pub(crate) fn sequence(protections: Protections) -> System {
    System {
        protections,
        rows: vec![row(0, 0), row(1, 0), row(1, 0)],
        transactions: 2,
        committed: 0,
        relays: 1,
        budget: Budget {
            sequences: 1,
            breaks: 1,
            ..Budget::default()
        },
    }
}

/// A log that is rewound at any step, beside a relay whose connections may break, whose claims may stay without an answer,
/// and that may lose its lease to another one and get it back.
pub(crate) fn rewinds(protections: Protections) -> System {
    System {
        protections,
        rows: vec![row(0, 0), row(1, 0)],
        transactions: 2,
        committed: 1,
        relays: 2,
        budget: Budget {
            rewinds: 1,
            breaks: 1,
            losses: 1,
            ..Budget::default()
        },
    }
}

/// Two relays, of which one may stand still at any step and wake up at any later one; the other may be asked to
/// stop.
pub(crate) fn pauses(protections: Protections) -> System {
    System {
        protections,
        rows: vec![row(0, 0), row(1, 0)],
        transactions: 2,
        committed: 1,
        relays: 2,
        budget: Budget {
            pauses: 1,
            stops: 1,
            ..Budget::default()
        },
    }
}

/// Two relays and records of two keys; one relay may crash at any step, and one may lose its lease and know it.
pub(crate) fn crashes(protections: Protections) -> System {
    System {
        protections,
        rows: vec![row(0, 0), row(0, 1)],
        transactions: 1,
        committed: 1,
        relays: 2,
        budget: Budget {
            crashes: 1,
            losses: 1,
            ..Budget::default()
        },
    }
}

/// One relay whose records may be refused for a time, and whose connections may break; one record that no
/// broker takes.
pub(crate) fn failures(protections: Protections) -> System {
    System {
        protections,
        rows: vec![
            row(0, 0),
            RowPlan {
                poison: true,
                ..row(0, 0)
            },
            row(0, 0),
            row(0, 1),
        ],
        transactions: 1,
        committed: 1,
        relays: 1,
        budget: Budget {
            failures: 1,
            breaks: 1,
            ..Budget::default()
        },
    }
}
