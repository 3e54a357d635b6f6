//! What must never have happened.

use stateright::Property;

use super::{State, System};

/// Nothing that was rolled back, or is still open, is in the log.
const NOTHING_INVENTED: &str = "nothing invented";
/// What the cursor is past is in the log or in the dead letters.
pub(crate) const NOTHING_LOST: &str = "nothing lost";
/// First occurrences come in the order of *precedes*, and nothing overtakes what it follows.
pub(crate) const IN_ORDER: &str = "in order";
/// No duplicate before a crash or a lost lease.
pub(crate) const DUPLICATES_HAVE_A_REASON: &str = "duplicates have a reason";
/// What was settled for good stays settled, also when an earlier holder wakes up and writes late.
pub(crate) const CURSOR_STAYS_AHEAD: &str = "no late write takes the cursor back";
/// Nothing leaves a relay that knows that its lease is over.
pub(crate) const SILENT_WITHOUT_LEASE: &str = "silent without the lease";
/// After a rewind, what the cursor passes has come again, each message behind those that precede it.
pub(crate) const REWOUND_COMES_AGAIN: &str = "rewound messages come again in order";
/// An outage dead-letters nothing.
const ONLY_POISON_IS_DEAD_LETTERED: &str = "only poison is dead-lettered";
/// Everything can be delivered, and settled.
const ALL_DELIVERED: &str = "all delivered";

/// Each of them.
pub(super) fn all() -> Vec<Property<System>> {
    vec![
        Property::always(NOTHING_INVENTED, |system: &System, state: &State| {
            System::bits(state.log.iter().copied()) & !system.committed(state) == 0
        }),
        Property::always(NOTHING_LOST, |system: &System, state: &State| {
            let delivered = System::bits(state.log.iter().copied()) | state.store.dead;
            system.passed(state) & !delivered == 0
        }),
        Property::always(IN_ORDER, |system: &System, state: &State| {
            system.is_in_order(state)
        }),
        Property::always(DUPLICATES_HAVE_A_REASON, |_: &System, state: &State| {
            let twice = (1..state.log.len()).any(|place| state.log[..place].contains(&state.log[place]));
            state.reason || !twice
        }),
        Property::always(CURSOR_STAYS_AHEAD, |_: &System, state: &State| !state.went_back),
        Property::always(SILENT_WITHOUT_LEASE, |_: &System, state: &State| {
            !state.sent_in_spite
        }),
        Property::always(REWOUND_COMES_AGAIN, |system: &System, state: &State| {
            state.rewound.is_none_or(|at| system.came_again(state, at))
        }),
        Property::always(ONLY_POISON_IS_DEAD_LETTERED, |system: &System, state: &State| {
            let poison = (0..system.rows.len()).filter(|row| system.rows[*row].poison);
            state.store.dead & !System::bits(poison) == 0
        }),
        // A model in which nothing gets through would keep all promises.
        Property::sometimes(ALL_DELIVERED, |system: &System, state: &State| {
            let all = System::bits(0..system.rows.len());
            System::bits(state.log.iter().copied()) | state.store.dead == all && system.passed(state) == all
        }),
    ]
}

impl System {
    /// Whether `a` precedes `b`.
    fn precedes(&self, state: &State, a: usize, b: usize) -> bool {
        let (first, second) = (self.rows[a], self.rows[b]);
        let later = state.store.rows[b].is_some_and(|row| row.after_going_back);
        if later && state.unordered & (1 << a) != 0 {
            return false;
        }
        let earlier = first.transaction == second.transaction && a < b;
        let committed_before = state.store.rows[b].is_some_and(|row| row.predecessors & (1 << a) != 0);
        first.key == second.key && (earlier || committed_before)
    }

    /// Whether everything that the cursor is past was sent after the rewind.
    fn came_again(&self, state: &State, rewound_at: usize) -> bool {
        let since = &state.log[rewound_at..];
        let settled = self.passed(state) & !state.store.dead;
        let settled = |row: &usize| settled & (1 << *row) != 0;
        let behind = |a: usize, b: usize| {
            let first = since.iter().position(|row| *row == a);
            first.is_some_and(|first| since[first..].contains(&b))
        };
        (0..self.rows.len()).filter(settled).all(|b| {
            let before = (0..self.rows.len()).filter(settled);
            let mut before = before.filter(|a| self.precedes(state, *a, b));
            since.contains(&b) && before.all(|a| behind(a, b))
        })
    }

    fn is_in_order(&self, state: &State) -> bool {
        let first = |row: usize| state.log.iter().position(|other| *other == row);
        let inverted = |a: usize, b: usize| match (first(a), first(b)) {
            (Some(a), Some(b)) => b < a,
            // B is in the log and A is not: whenever A lands now, it is too late.
            (None, Some(_)) => !self.rows[a].poison,
            _ => false,
        };
        let all = 0..self.rows.len();
        let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| self.precedes(state, *a, *b))
            .all(|(a, b)| !inverted(a, b))
    }
}
