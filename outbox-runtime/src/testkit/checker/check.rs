//! The comparison.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::committed::{Committed, Expected};
use super::digest::digest;
use super::order::Seen;
use super::report::{Altered, Invented, Inversion, Occurrence, Place, Report, Scattered};

/// A record as a consumer receives it.
#[derive(Debug, Clone, Copy)]
pub struct DeliveredRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The event's id from the header `ce_id`, if it is valid.
    pub id: Option<Uuid>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// All headers, in order.
    pub headers: &'a [(String, Option<Vec<u8>>)],
    /// The record's timestamp.
    pub timestamp_ms: Option<i64>,
}

/// An event's first occurrence.
struct First {
    order: usize,
    partition: i32,
    /// Of everything in the record.
    digest: u64,
}

impl Committed {
    /// Compares the committed events with all records of the topics and the ids in the dead letters.
    ///
    /// The records of one partition come in the order of its log; how partitions are mixed does not matter.
    /// Dead-lettered events are outside of the order.
    pub fn check<'a>(
        &self,
        delivered: impl IntoIterator<Item = DeliveredRecord<'a>>,
        dead_letters: impl IntoIterator<Item = Uuid>,
    ) -> Report {
        let dead: HashSet<Uuid> = dead_letters.into_iter().collect();
        let mut report = Report {
            committed: self.len(),
            ..Report::default()
        };
        let mut firsts: Vec<Option<First>> = Vec::new();
        firsts.resize_with(self.len(), || None);
        let mut partitions: HashMap<u32, i32> = HashMap::new();
        let mut seen = Seen::default();

        for (order, record) in delivered.into_iter().enumerate() {
            report.delivered += 1;
            let Some((number, expected)) = record.id.and_then(|id| self.find(id)) else {
                report.invented.push(self.invented(record.id, record.place()));
                continue;
            };
            let digest = record.digest();
            if let Some(first) = &firsts[number as usize] {
                note_duplicate(expected.id, &record, first.digest != digest, &mut report);
                continue;
            }
            firsts[number as usize] = Some(First {
                order,
                partition: record.partition,
                digest,
            });
            if let Some(what) = self.difference(expected, &record) {
                report.altered.push(record.altered(expected.id, what));
            }
            if dead.contains(&expected.id) {
                continue;
            }
            let home = *partitions.entry(expected.stream).or_insert(record.partition);
            if home != record.partition {
                report.scattered.push(Scattered {
                    id: expected.id,
                    place: record.place(),
                    others: home,
                });
            }
            let stream = (expected.stream, record.partition);
            if let Some(second) = seen.first_occurrence(stream, number, expected.written) {
                let (first, second) = (expected.id, self.events[second as usize].id);
                report.out_of_order.push(Inversion { first, second });
            }
        }

        self.find_lost(&firsts, &dead, &mut report);
        self.compare_pairs(&firsts, &dead, &mut report);
        let unknown = dead.iter().filter(|id| self.find(**id).is_none());
        report
            .invented
            .extend(unknown.map(|id| self.invented(Some(*id), Place::DeadLetters)));
        report
    }

    /// Events that came nowhere.
    fn find_lost(&self, firsts: &[Option<First>], dead: &HashSet<Uuid>, report: &mut Report) {
        for (expected, first) in self.events.iter().zip(firsts) {
            if first.is_none() && !dead.contains(&expected.id) {
                report.lost.push(expected.id);
            }
        }
    }

    /// Pairs of events that have an order.
    fn compare_pairs(&self, firsts: &[Option<First>], dead: &HashSet<Uuid>, report: &mut Report) {
        for (first, second) in &self.pairs {
            let occurrence = |id| firsts[self.find(id)?.0 as usize].as_ref();
            let Some((a, b)) = occurrence(*first).zip(occurrence(*second)) else {
                continue;
            };
            let in_order = dead.contains(first) || dead.contains(second) || a.order < b.order;
            if a.partition == b.partition && !in_order {
                report.out_of_order.push(Inversion {
                    first: *first,
                    second: *second,
                });
            }
        }
    }

    fn find(&self, id: Uuid) -> Option<(u32, &Expected)> {
        let number = *self.index.get(&id)?;
        Some((number, &self.events[number as usize]))
    }

    fn invented(&self, id: Option<Uuid>, place: Place) -> Invented {
        Invented {
            id,
            place,
            rolled_back: id.is_some_and(|id| self.rolled_back.contains(&id)),
        }
    }

    /// What a record has that its event has not, or the reverse.
    fn difference(&self, expected: &Expected, record: &DeliveredRecord<'_>) -> Option<&'static str> {
        let stream = &self.streams[expected.stream as usize];
        let carries = |(name, value): &(String, String)| {
            record
                .headers
                .iter()
                .any(|(other, bytes)| other == name && bytes.as_deref() == Some(value.as_bytes()))
        };
        if record.topic != stream.topic {
            Some("is in a topic that it is not for")
        } else if record.key != Some(stream.key.as_bytes()) {
            Some("has another key than the event")
        } else if digest(&record.value) != expected.value {
            Some("has another value than the event")
        } else if !expected.headers.iter().all(carries) {
            Some("lacks one of the event's headers")
        } else {
            None
        }
    }
}

/// An event that came before, and whether this record differs from the first.
fn note_duplicate(id: Uuid, record: &DeliveredRecord<'_>, differs: bool, report: &mut Report) {
    let place = record.place();
    report.duplicates.push(Occurrence { id, place });
    if differs {
        let altered = record.altered(id, "differs from its first occurrence");
        report.altered.push(altered);
    }
}

impl DeliveredRecord<'_> {
    fn place(&self) -> Place {
        Place::Log {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
        }
    }

    fn digest(&self) -> u64 {
        digest(&(
            self.topic,
            self.partition,
            self.key,
            self.value,
            self.headers,
            self.timestamp_ms,
        ))
    }

    fn altered(&self, id: Uuid, what: &'static str) -> Altered {
        Altered {
            id,
            place: self.place(),
            what,
        }
    }
}
