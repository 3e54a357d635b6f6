//! The checker finds what was planted, and nothing else.

use std::collections::HashSet;

use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::*;

/// An event whose transaction is all by itself: it was inserted at its own number, and committed right after.
fn written_one_by_one(number: u64) -> Written {
    Written {
        transaction: number,
        position: 0,
        inserted: number * 2,
        committed: number * 2 + 1,
    }
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

#[derive(Debug, Clone)]
struct Record {
    number: u64,
    topic: &'static str,
    key: String,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    partition: i32,
    timestamp_ms: Option<i64>,
}

impl Record {
    fn of(number: u64, keys: u64) -> Self {
        let key = number % keys;
        Self {
            number,
            topic: "orders",
            key: format!("k{key}"),
            value: Some(number.to_string().into_bytes()),
            headers: vec![("ce_type".to_owned(), Some(b"Placed".to_vec()))],
            partition: (key % 3) as i32,
            timestamp_ms: Some(7),
        }
    }

    fn committed(&self, committed: &mut Committed, written: Written) {
        let event = CommittedEvent {
            id: id(self.number),
            topic: self.topic,
            key: &self.key,
            value: self.value.as_deref(),
            headers: &[("ce_type", "Placed")],
            written,
        };
        committed.event(event).unwrap();
    }
}

fn check(committed: &Committed, log: &[Record]) -> Report {
    check_with(committed, log, [])
}

fn check_with<const N: usize>(committed: &Committed, log: &[Record], dead: [u64; N]) -> Report {
    let records = log.iter().enumerate().map(|(offset, record)| DeliveredRecord {
        topic: record.topic,
        partition: record.partition,
        offset: offset as i64,
        id: Some(id(record.number)),
        key: Some(record.key.as_bytes()),
        value: record.value.as_deref(),
        headers: &record.headers,
        timestamp_ms: record.timestamp_ms,
    });
    committed.check(records, dead.map(id))
}

/// `count` events that were written one after the other, and their records.
fn one_by_one(count: u64, keys: u64) -> (Committed, Vec<Record>) {
    let mut committed = Committed::new();
    let log: Vec<_> = (0..count).map(|number| Record::of(number, keys)).collect();
    for record in &log {
        record.committed(&mut committed, written_one_by_one(record.number));
    }
    (committed, log)
}

#[test]
fn what_is_right_is_found_right() {
    let (committed, log) = one_by_one(100, 7);
    let report = check(&committed, &log);
    assert!(report.is_exact(), "{report}");
    assert_eq!(report.to_string(), "100 committed, 100 delivered");
}

#[test]
fn a_loss_is_found_unless_it_is_a_dead_letter() {
    let (committed, mut log) = one_by_one(20, 3);
    log.remove(4);
    let report = check(&committed, &log);
    assert_eq!(report.lost, [id(4)]);
    assert!(!report.holds());
    assert!(report.to_string().contains("lost: 1\n"), "{report}");
    assert!(check_with(&committed, &log, [4]).is_exact());
}

#[test]
fn an_invention_is_found() {
    let (mut committed, mut log) = one_by_one(5, 1);
    committed.rolled_back(id(70));
    log.push(Record::of(60, 1));
    log.push(Record::of(70, 1));
    let report = check_with(&committed, &log, [80]);
    let found: Vec<_> = report
        .invented
        .iter()
        .map(|found| (found.id, found.rolled_back))
        .collect();
    assert_eq!(
        found,
        [(Some(id(60)), false), (Some(id(70)), true), (Some(id(80)), false)]
    );
    assert_eq!(report.invented[2].place, Place::DeadLetters);
    assert!(!report.holds());
}

#[test]
fn a_record_without_an_id_is_an_invention() {
    let record = DeliveredRecord {
        topic: "orders",
        partition: 0,
        offset: 3,
        id: None,
        key: None,
        value: None,
        headers: &[],
        timestamp_ms: None,
    };
    let report = Committed::new().check([record], []);
    assert_eq!(report.invented.len(), 1);
    assert!(
        report.to_string().contains("without an id in orders/0 at 3"),
        "{report}"
    );
}

#[test]
fn a_duplicate_is_counted_and_allowed_and_takes_no_part_in_the_order() {
    let (committed, mut log) = one_by_one(5, 1);
    log.extend([log[1].clone(), log[0].clone(), log[0].clone()]);
    let report = check(&committed, &log);
    assert!(report.holds() && !report.is_exact(), "{report}");
    let again: Vec<_> = report.duplicates.iter().map(|duplicate| duplicate.id).collect();
    assert_eq!(again, [id(1), id(0), id(0)]);
}

#[test]
fn a_duplicate_with_other_bytes_is_found() {
    let changes: [fn(&mut Record); 4] = [
        |record| record.value = None,
        |record| record.timestamp_ms = Some(8),
        |record| record.headers.push(("more".to_owned(), None)),
        |record| record.partition += 1,
    ];
    for change in changes {
        let (committed, mut log) = one_by_one(5, 1);
        let mut again = log[2].clone();
        change(&mut again);
        log.push(again);
        let report = check(&committed, &log);
        assert_eq!(
            (report.altered.len(), report.duplicates.len()),
            (1, 1),
            "{report}"
        );
        assert!(!report.holds());
    }
}

#[test]
fn a_record_unlike_its_event_is_found() {
    type Change = fn(&mut Record);
    let changes: [(Change, &str); 5] = [
        (|record| record.value = Some(b"2 ".to_vec()), "value"),
        (|record| record.value = None, "value"),
        (|record| record.key.push('!'), "key"),
        (|record| record.topic = "other", "topic"),
        (|record| record.headers[0].1 = Some(b"Taken".to_vec()), "headers"),
    ];
    for (change, what) in changes {
        let (committed, mut log) = one_by_one(5, 1);
        change(&mut log[2]);
        let report = check(&committed, &log);
        assert_eq!(report.altered.len(), 1, "{report}");
        assert!(report.altered[0].what.contains(what), "{report}");
    }
}

#[test]
fn an_empty_value_is_no_tombstone() {
    let mut committed = Committed::new();
    let mut record = Record {
        value: Some(Vec::new()),
        ..Record::of(0, 1)
    };
    record.committed(&mut committed, written_one_by_one(0));
    assert!(check(&committed, &[record.clone()]).is_exact());
    record.value = None;
    assert_eq!(check(&committed, &[record]).altered.len(), 1);
}

#[test]
fn a_swap_within_a_key_is_found_and_one_between_keys_is_none() {
    let (committed, mut log) = one_by_one(6, 2);
    log.swap(0, 1);
    assert!(check(&committed, &log).is_exact());
    log.swap(0, 1);
    log.swap(2, 4);
    let report = check(&committed, &log);
    assert_eq!(
        report.out_of_order,
        [Inversion {
            first: id(2),
            second: id(4)
        }]
    );
}

#[test]
fn one_topic_has_no_order_with_another() {
    let mut committed = Committed::new();
    let first = Record::of(0, 1);
    let second = Record {
        topic: "invoices",
        ..Record::of(1, 1)
    };
    first.committed(&mut committed, written_one_by_one(0));
    second.committed(&mut committed, written_one_by_one(1));
    assert!(check(&committed, &[second, first]).is_exact());
}

#[test]
fn within_a_transaction_the_emission_is_the_order() {
    let mut committed = Committed::new();
    let log: Vec<_> = (0..3).map(|number| Record::of(number, 1)).collect();
    for (position, record) in (0..).zip(&log) {
        record.committed(
            &mut committed,
            Written {
                transaction: 9,
                position,
                inserted: 5,
                committed: 6,
            },
        );
    }
    assert!(check(&committed, &log).is_exact());
    let swapped = [log[0].clone(), log[2].clone(), log[1].clone()];
    assert_eq!(
        check(&committed, &swapped).out_of_order,
        [Inversion {
            first: id(1),
            second: id(2)
        }]
    );
}

#[test]
fn concurrent_transactions_have_no_order_even_if_one_committed_first() {
    let mut committed = Committed::new();
    let (a, b) = (Record::of(0, 1), Record::of(1, 1));
    // B was inserted before A had committed, whatever came first otherwise.
    a.committed(
        &mut committed,
        Written {
            transaction: 1,
            position: 0,
            inserted: 1,
            committed: 4,
        },
    );
    b.committed(
        &mut committed,
        Written {
            transaction: 2,
            position: 0,
            inserted: 3,
            committed: 9,
        },
    );
    assert!(check(&committed, &[a.clone(), b.clone()]).is_exact());
    assert!(check(&committed, &[b.clone(), a.clone()]).is_exact());
    // Unless somebody knows better.
    committed.precedes(id(0), id(1));
    assert!(check(&committed, &[a.clone(), b.clone()]).is_exact());
    assert_eq!(check(&committed, &[b, a]).out_of_order.len(), 1);
}

#[test]
fn a_commit_whose_time_is_unknown_precedes_nothing() {
    let mut committed = Committed::new();
    let (a, b) = (Record::of(0, 1), Record::of(1, 1));
    a.committed(
        &mut committed,
        Written {
            transaction: 1,
            position: 0,
            inserted: 1,
            committed: u64::MAX,
        },
    );
    b.committed(
        &mut committed,
        Written {
            transaction: 2,
            position: 0,
            inserted: 9,
            committed: 10,
        },
    );
    assert!(check(&committed, &[b, a]).is_exact());
}

#[test]
fn a_dead_letter_that_was_replayed_is_outside_of_the_order() {
    let (committed, mut log) = one_by_one(4, 1);
    log.swap(0, 3);
    assert!(!check(&committed, &log).holds());
    let report = check_with(&committed, &log, [0, 3]);
    assert!(report.is_exact(), "{report}");
}

#[test]
fn a_key_in_two_partitions_is_found() {
    let (committed, mut log) = one_by_one(4, 1);
    log[3].partition = 2;
    let report = check(&committed, &log);
    assert_eq!(report.scattered.len(), 1);
    assert_eq!((report.scattered[0].id, report.scattered[0].others), (id(3), 0));
    assert!(!report.holds());
}

#[test]
fn an_id_is_committed_once() {
    let (mut committed, log) = one_by_one(1, 1);
    let again = CommittedEvent {
        id: id(0),
        topic: "orders",
        key: &log[0].key,
        value: None,
        headers: &[],
        written: written_one_by_one(1),
    };
    assert_eq!(committed.event(again), Err(SameId(id(0))));
    assert_eq!(committed.len(), 1);
}

/// By the definition's own words, pair by pair.
fn precedes(a: &Written, b: &Written) -> bool {
    if a.transaction == b.transaction {
        a.position < b.position
    } else {
        a.committed < b.inserted
    }
}

proptest! {
    /// Overlapping transactions in any order of delivery: the walk finds exactly those events that came after
    /// one that they precede.
    #[test]
    fn the_order_is_the_definitions(seed: u64, transactions in 1_usize..12, keys in 1_u64..4) {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let mut log: Vec<(Record, Written)> = Vec::new();
        for transaction in 0..transactions {
            let start = random.random_range(0..20);
            let inserts = random.random_range(1..4);
            let committed = start + inserts + random.random_range(0..8);
            for position in 0..inserts {
                let record = Record::of(log.len() as u64, keys);
                let written = Written {
                    transaction: transaction as u64,
                    position: position as u32,
                    inserted: start + position,
                    committed,
                };
                log.push((record, written));
            }
        }
        log.shuffle(&mut random);
        let mut committed = Committed::new();
        for (record, written) in &log {
            record.committed(&mut committed, *written);
        }
        let expected: HashSet<Uuid> = log
            .iter()
            .enumerate()
            .filter(|(place, (late, a))| {
                log[..*place].iter().any(|(early, b)| early.key == late.key && precedes(a, b))
            })
            .map(|(_, (late, _))| id(late.number))
            .collect();
        let records: Vec<_> = log.iter().map(|(record, _)| record.clone()).collect();
        let report = check(&committed, &records);
        for Inversion { first, second } in &report.out_of_order {
            let written = |id: Uuid| log.iter().find(|(record, _)| super::tests::id(record.number) == id).unwrap().1;
            prop_assert!(precedes(&written(*first), &written(*second)));
        }
        let found: HashSet<Uuid> = report.out_of_order.iter().map(|inversion| inversion.first).collect();
        prop_assert_eq!(found, expected);
    }
}

/// Not a measurement, but a quadratic walk would not end.
#[test]
fn many_events_of_few_keys_are_checked_in_one_walk() {
    let (committed, log) = one_by_one(300_000, 3);
    assert!(check(&committed, &log).is_exact());
}
