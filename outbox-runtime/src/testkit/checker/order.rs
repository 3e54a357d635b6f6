//! Finds pairs that came in the wrong order, in one walk along the log.
//!
//! Within a stream, *precedes* between transactions is an order of intervals: A precedes B when A's commit is
//! before B's insert. So an event has come too late when an event that was seen before it was inserted after
//! its commit, and of those seen the one inserted last decides. Within a transaction the greatest position decides.

use std::collections::HashMap;

use super::committed::Written;

/// One stream's place in the log: a stream has its order within a partition only.
pub(super) type StreamPartition = (u32, i32);

/// What was seen of the log up to now.
#[derive(Debug, Default)]
pub(super) struct Seen {
    inserted_last: HashMap<StreamPartition, (u64, u32)>,
    emitted_last: HashMap<(StreamPartition, u64), (u32, u32)>,
}

impl Seen {
    /// Takes the first occurrence of the event `number`, and returns an event that it should have come before.
    pub(super) fn first_occurrence(
        &mut self,
        stream: StreamPartition,
        number: u32,
        written: Written,
    ) -> Option<u32> {
        let (inserted, latest) = self
            .inserted_last
            .entry(stream)
            .or_insert((written.inserted, number));
        let too_late = (*inserted > written.committed).then_some(*latest);
        if written.inserted > *inserted {
            (*inserted, *latest) = (written.inserted, number);
        }
        let emitted = self.emitted_last.entry((stream, written.transaction));
        let (position, last) = emitted.or_insert((written.position, number));
        let behind = (*position > written.position).then_some(*last);
        if written.position > *position {
            (*position, *last) = (written.position, number);
        }
        too_late.or(behind)
    }
}
