//! Whether what a rewind sends again is in its order.

use std::collections::{HashMap, HashSet};

use outbox_runtime::testkit::checker::Written;
use uuid::Uuid;

use crate::kafka::ReadRecord;
use crate::writers::{Ledger, WrittenEvent};

/// What a rewind sends again: it is in the order of its keys once more. Messages that were deleted before do not come, though
/// older ones may that stayed longer.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// So many records had arrived in the round before it, and so many when it had begun.
    pub(super) before: usize,
    pub(super) begun: usize,
    pub(super) ids: HashSet<Uuid>,
}

/// A pass, and where it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// So many records had arrived.
    pub(super) end: usize,
    /// Another rewind came then: messages that nobody had seen before the pass may not have come again.
    pub(super) is_cut_short: bool,
}

impl Pass {
    /// Pairs of events, of which the second follows the first, though no record of it is behind the first's first one since
    /// the rewind. At most one for each first.
    ///
    /// Further records of either may come in any order: a relay that is killed later sends again what it had not
    /// recorded.
    pub(super) fn out_of_order(
        &self,
        ledger: &Ledger,
        records: &[ReadRecord],
        bounds: Bounds,
    ) -> Vec<(Uuid, Uuid)> {
        let events = ledger.committed.iter();
        let events: HashMap<Uuid, &WrittenEvent> =
            events.map(|written| (written.event.id, written)).collect();
        let before: HashSet<Uuid> = records[..self.begun]
            .iter()
            .filter_map(ReadRecord::event_id)
            .collect();
        let is_of_it = |id: &Uuid| match before.contains(id) {
            true => self.ids.contains(id),
            false => !bounds.is_cut_short,
        };
        let records = records[..bounds.end].iter().enumerate();
        let records: Vec<(usize, Uuid, &ReadRecord)> = records
            .filter_map(|(place, record)| Some((place, record.event_id().filter(is_of_it)?, record)))
            .collect();
        let (mut first, mut last) = (HashMap::new(), HashMap::new());
        for (place, id, _) in &records {
            if *place >= self.begun {
                first.entry(*id).or_insert(*place);
            }
            last.insert(*id, *place);
        }
        let (mut streams, mut found) = (HashMap::<_, Passed>::new(), Vec::new());
        for (place, id, record) in records {
            let Some(WrittenEvent { event, written }) = events.get(&id) else {
                continue;
            };
            let stream = (&event.topic, &event.key, record.partition);
            let passed = streams.entry(stream).or_default();
            if first.get(&id) == Some(&place)
                && let Some(second) = passed.follower_of(written)
            {
                found.push((id, second));
            }
            if last.get(&id) == Some(&place) {
                passed.add(id, written);
            }
        }
        found
    }
}

/// Events of a stream that come no more.
#[derive(Debug, Default)]
struct Passed {
    inserted_last: Option<(u64, Uuid)>,
    emitted_last: HashMap<u64, (u32, Uuid)>,
}

impl Passed {
    /// One of them that follows this event.
    fn follower_of(&self, written: &Written) -> Option<Uuid> {
        let later = self.inserted_last.filter(|last| last.0 > written.committed);
        let emitted = self.emitted_last.get(&written.transaction);
        let behind = emitted.filter(|last| last.0 > written.position);
        later.map(|last| last.1).or(behind.map(|last| last.1))
    }

    fn add(&mut self, id: Uuid, written: &Written) {
        let last = (written.inserted, id);
        self.inserted_last = self.inserted_last.max(Some(last));
        let emitted = self.emitted_last.entry(written.transaction);
        let emitted = emitted.or_insert((written.position, id));
        *emitted = (*emitted).max((written.position, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writers::{Event, Value};

    /// Two events of a key, of which the first was committed before the second was inserted, and one that is beside both.
    fn ledger() -> Ledger {
        let event = |number: u128, inserted, committed| WrittenEvent {
            event: Event {
                id: Uuid::from_u128(number),
                topic: "orders".to_owned(),
                key: "key".to_owned(),
                value: Value::Tombstone,
                header: None,
            },
            written: Written {
                transaction: inserted,
                position: 0,
                inserted,
                committed,
            },
        };
        Ledger {
            seed: 0,
            committed: vec![event(1, 1, 2), event(2, 3, 4), event(3, 0, 9)],
            rolled_back: HashSet::new(),
        }
    }

    fn out_of_order(arrived: &[u128], begun: usize, is_cut_short: bool) -> Vec<(u128, u128)> {
        let record = |(offset, id): (usize, &u128)| ReadRecord {
            topic: "orders".to_owned(),
            partition: 0,
            offset: offset as i64,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: vec![(
                "ce_id".to_owned(),
                Some(Uuid::from_u128(*id).to_string().into_bytes()),
            )],
        };
        let records: Vec<_> = arrived.iter().enumerate().map(record).collect();
        let pass = Pass {
            before: begun,
            begun,
            ids: [1, 2, 3].map(Uuid::from_u128).into(),
        };
        let bounds = Bounds {
            end: records.len(),
            is_cut_short,
        };
        let found = pass.out_of_order(&ledger(), &records, bounds);
        let numbers = found
            .iter()
            .map(|(first, second)| (first.as_u128(), second.as_u128()));
        numbers.collect()
    }

    #[test]
    fn what_comes_again_in_its_order_is_in_order() {
        assert!(out_of_order(&[1, 2, 3, 1, 2, 3], 3, false).is_empty());
        assert!(out_of_order(&[1, 2, 3, 3, 1, 2], 3, false).is_empty());
        // On its way at the rewind, and again behind the older one.
        assert!(out_of_order(&[1, 2, 1, 2], 1, false).is_empty());
    }

    #[test]
    fn what_does_not_come_again_behind_an_older_one_is_out_of_order() {
        assert_eq!(out_of_order(&[1, 2, 3, 2, 1, 3], 3, false), [(1, 2)]);
        assert_eq!(out_of_order(&[1, 2, 3, 1, 3], 3, false), [(1, 2)]);
        // On its way at the rewind, and never again.
        assert_eq!(out_of_order(&[1, 2, 1], 1, false), [(1, 2)]);
    }

    #[test]
    fn further_records_of_an_older_one_change_nothing() {
        assert!(out_of_order(&[1, 2, 3, 1, 2, 1, 3], 3, false).is_empty());
    }

    #[test]
    fn what_nobody_had_seen_is_not_awaited_if_another_rewind_follows() {
        assert!(out_of_order(&[1, 2, 1], 1, true).is_empty());
        assert_eq!(out_of_order(&[1, 2, 2, 1], 2, true), [(1, 2)]);
    }
}
