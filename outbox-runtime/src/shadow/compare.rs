//! The comparison, without a broker.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, Utc};

use super::report::{Compared, Latency, Position, ShadowReport, Span, note};

/// The compared parts of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowedRecord {
    position: Position,
    id: Option<String>,
    key: Option<Vec<u8>>,
    /// Of the value; none for a tombstone.
    digest: Option<(usize, u64)>,
    timestamp_ms: Option<i64>,
    arrived_ms: Option<i64>,
}

impl ShadowedRecord {
    /// Creates a record of this key and value, with its timestamp in milliseconds since 1970.
    pub fn new(
        position: Position,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Self {
        let digest = value.map(|value| {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            (value.len(), hasher.finish())
        });
        Self {
            position,
            id: None,
            key: key.map(<[u8]>::to_vec),
            digest,
            timestamp_ms,
            arrived_ms: None,
        }
    }

    /// Sets the header `ce_id`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Declares that the timestamp is the time at which the broker stored the record.
    #[must_use]
    pub fn at_arrival(mut self) -> Self {
        self.arrived_ms = self.timestamp_ms;
        self
    }

    fn compared(&self, own: Option<Position>, shadow: Option<Position>) -> Compared {
        let key = self.key.as_deref();
        Compared {
            key: key.map(|key| String::from_utf8_lossy(key).into_owned()),
            id: self.id.clone(),
            own,
            shadow,
        }
    }
}

/// What two records are one event by.
#[derive(PartialEq, Eq, Hash)]
enum Identity<'r> {
    Id(&'r str),
    Content(Option<&'r [u8]>, Option<(usize, u64)>),
}

/// Compares the records of a topic with those of its shadow; both in the order of each partition.
///
/// Records with a `ce_id` belong together if it is the same; the service's records without one belong to the next record
/// of the outbox with the same key and value. Differences count from `from` on and before `to`, by the record's timestamp.
pub fn compare(
    own: &[ShadowedRecord],
    shadow: &[ShadowedRecord],
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> ShadowReport {
    let span = Span { from, to };
    let mut report = ShadowReport {
        complete: true,
        ..ShadowReport::default()
    };
    let pairs = pairs(own, shadow);
    let mut is_matched = vec![false; shadow.len()];
    let mut furthest: HashMap<Option<&[u8]>, Position> = HashMap::new();
    let mut later = Vec::new();
    for (record, pair) in own.iter().zip(&pairs) {
        let partner = pair.and_then(|index| {
            *is_matched.get_mut(index)? = true;
            shadow.get(index)
        });
        if !span.contains(record.timestamp_ms) {
            continue;
        }
        report.own += 1;
        let Some(partner) = partner else {
            note(&mut report.missing, &mut report.examples.missing, || {
                record.compared(Some(record.position), None)
            });
            continue;
        };
        report.matched += 1;
        let pair = || record.compared(Some(record.position), Some(partner.position));
        if (&record.key, record.digest) != (&partner.key, partner.digest) {
            note(&mut report.changed, &mut report.examples.changed, pair);
        }
        let last = furthest.entry(record.key.as_deref()).or_insert(partner.position);
        match partner.position < *last {
            true => note(&mut report.reordered, &mut report.examples.reordered, pair),
            false => *last = partner.position,
        }
        if let (Some(published), Some(sent)) = (record.arrived_ms, partner.arrived_ms) {
            later.push(sent - published);
        }
    }
    for (record, is_matched) in shadow.iter().zip(is_matched) {
        if span.contains(record.timestamp_ms) {
            report.shadow += 1;
            if !is_matched {
                note(&mut report.extra, &mut report.examples.extra, || {
                    record.compared(None, Some(record.position))
                });
            }
        }
    }
    report.latency = latency(later);
    report
}

/// For each of the service's records, the place of the outbox's.
fn pairs<'r>(own: &'r [ShadowedRecord], shadow: &'r [ShadowedRecord]) -> Vec<Option<usize>> {
    let mut free: HashMap<Identity<'r>, VecDeque<usize>> = HashMap::new();
    let some_without_id = own.iter().any(|record| record.id.is_none());
    for (index, record) in shadow.iter().enumerate() {
        if let Some(id) = &record.id {
            free.entry(Identity::Id(id)).or_default().push_back(index);
        }
        if some_without_id {
            let content = Identity::Content(record.key.as_deref(), record.digest);
            free.entry(content).or_default().push_back(index);
        }
    }
    let mut taken = vec![false; shadow.len()];
    let mut take = |identity: Identity<'r>| {
        let candidates = free.get_mut(&identity)?;
        while let Some(index) = candidates.pop_front() {
            if !std::mem::replace(taken.get_mut(index)?, true) {
                return Some(index);
            }
        }
        None
    };
    let pair = |record: &'r ShadowedRecord| match &record.id {
        Some(id) => take(Identity::Id(id)),
        None => take(Identity::Content(record.key.as_deref(), record.digest)),
    };
    own.iter().map(pair).collect()
}

fn latency(mut later: Vec<i64>) -> Option<Latency> {
    later.sort_unstable();
    let at = |share: usize| {
        later
            .get((later.len() * share / 100).min(later.len().checked_sub(1)?))
            .copied()
    };
    Some(Latency {
        median_ms: at(50)?,
        p99_ms: at(99)?,
        max_ms: at(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, id: &str, key: &str, value: &str) -> ShadowedRecord {
        let position = Position::new(0, offset);
        let record = ShadowedRecord::new(
            position,
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            Some(offset * 1_000),
        );
        match id {
            "" => record,
            id => record.id(id),
        }
    }

    fn compared(own: &[ShadowedRecord], shadow: &[ShadowedRecord]) -> (u64, u64, u64, u64) {
        let report = compare(own, shadow, None, None);
        assert_eq!(
            report.is_equal(),
            (report.missing, report.extra, report.reordered, report.changed) == (0, 0, 0, 0)
        );
        (report.missing, report.extra, report.reordered, report.changed)
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let own = [
            record(0, "1", "a", "x"),
            record(1, "2", "a", "y"),
            record(2, "3", "b", "z"),
        ];
        assert_eq!(compared(&own, &own), (0, 0, 0, 0));
        assert_eq!(compared(&own, &own[1..]), (1, 0, 0, 0));
        assert_eq!(compared(&own[1..], &own), (0, 1, 0, 0));
        let other_order = [record(0, "2", "a", "y"), record(1, "1", "a", "x"), own[2].clone()];
        assert_eq!(compared(&own, &other_order), (0, 0, 1, 0));
        let keys_have_no_order_among_them = [
            record(0, "3", "b", "z"),
            record(1, "1", "a", "x"),
            record(2, "2", "a", "y"),
        ];
        assert_eq!(compared(&own, &keys_have_no_order_among_them), (0, 0, 0, 0));
        let other_value = [own[0].clone(), record(1, "2", "a", "other"), own[2].clone()];
        assert_eq!(compared(&own, &other_value), (0, 0, 0, 1));
    }

    #[test]
    fn without_ids_key_and_value_say_which_belong_together_and_equal_ones_count() {
        let own = [
            record(0, "", "a", "x"),
            record(1, "", "a", "x"),
            record(2, "", "b", "x"),
        ];
        let shadow = [
            record(0, "1", "a", "x"),
            record(1, "2", "a", "x"),
            record(2, "3", "b", "x"),
        ];
        assert_eq!(compared(&own, &shadow), (0, 0, 0, 0));
        assert_eq!(compared(&own, &shadow[1..]), (1, 0, 0, 0));
        assert_eq!(compared(&own[1..], &shadow), (0, 1, 0, 0));
    }

    #[test]
    fn only_the_span_is_judged_and_partners_may_be_outside_of_it() {
        let own = [record(0, "1", "a", "x"), record(2, "2", "a", "y")];
        let shadow = [record(3, "2", "a", "y")];
        let at = |ms| DateTime::from_timestamp_millis(ms);
        assert!(compare(&own, &shadow, at(1_000), at(3_000)).is_equal());
        assert_eq!(compare(&own, &shadow, None, at(3_000)).missing, 1);
        assert_eq!(compare(&own[..1], &shadow, at(1_000), at(4_000)).extra, 1);
    }

    #[test]
    fn latency_is_reported_where_both_arrivals_are_known() {
        let at = |offset: i64, ms: i64| {
            ShadowedRecord::new(Position::new(0, offset), None, None, Some(ms)).id(offset.to_string())
        };
        let own: Vec<_> = (0..100).map(|n| at(n, n * 10).at_arrival()).collect();
        let shadow: Vec<_> = (0..100).map(|n| at(n, n * 10 + n).at_arrival()).collect();
        let latency = compare(&own, &shadow, None, None).latency.unwrap();
        assert_eq!((latency.median_ms, latency.p99_ms, latency.max_ms), (50, 99, 99));
        assert_eq!(compare(&own, &[at(0, 5)], None, None).latency, None);
    }
}
