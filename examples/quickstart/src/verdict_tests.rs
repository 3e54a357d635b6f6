//! The checker fails each delivery that is wrong in one respect.

use outbox_runtime::testkit::checker;
use outbox_runtime::{OutboxEvent, Payload, RelayReport};
use uuid::Uuid;

use crate::consumer::Record;
use crate::ledger::Ledger;
use crate::report::{Outage, Report};
use crate::shop::{Emitted, OrderPaidV1, OrderPlacedV1};

/// Two consecutive orders of one customer, and a correct delivery of their events.
fn two_orders() -> (Ledger, Vec<Record>) {
    let ledger = Ledger::default();
    let mut records = Vec::new();
    for _ in 0..2 {
        let (order_id, customer) = (Uuid::now_v7(), "customer-01".to_owned());
        let placed = OrderPlacedV1 {
            order_id,
            customer: customer.clone(),
            total_cents: 1_250,
        };
        let paid = OrderPaidV1 { order_id, customer };
        let emitted = Emitted {
            placed: (Uuid::now_v7(), placed),
            paid: (Uuid::now_v7(), paid),
        };
        let began = ledger.now();
        ledger.committed(began, &emitted).unwrap();
        records.push(record(emitted.placed.0, &emitted.placed.1));
        records.push(record(emitted.paid.0, &emitted.paid.1));
    }
    (ledger, records)
}

fn record(id: Uuid, event: &impl OutboxEvent) -> Record {
    let Ok(Payload::Json(value)) = event.payload() else {
        panic!("the shop's events are JSON");
    };
    let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
    Record {
        partition: 0,
        offset: 0,
        key: Some(event.key().into_bytes()),
        value: Some(value.into_bytes()),
        headers: vec![
            header("ce_id", id.to_string()),
            header("ce_type", event.event_type().into_owned()),
        ],
        timestamp_ms: Some(0),
    }
}

/// The report on a correct delivery after `spoil` has changed it.
fn report(spoil: impl FnOnce(&mut Vec<Record>)) -> Report {
    let (ledger, mut records) = two_orders();
    spoil(&mut records);
    for (offset, record) in (0..).zip(&mut records) {
        record.offset = offset;
    }
    let (orders, refused) = (ledger.orders(), ledger.refused());
    let check: checker::Report = ledger
        .into_committed()
        .check(records.iter().map(Record::delivered), []);
    Report {
        orders,
        refused,
        writers: 1,
        outage: Outage {
            lasted: std::time::Duration::ZERO,
            waiting: 0,
        },
        relay: RelayReport::default(),
        check,
        took: std::time::Duration::ZERO,
    }
}

#[test]
fn a_good_delivery_holds() {
    let report = report(|_| {});
    assert!(report.holds() && report.check.is_exact(), "{report}");
}

#[test]
fn a_missing_event_is_found() {
    let report = report(|records| drop(records.remove(1)));
    assert!(!report.holds() && report.check.lost.len() == 1, "{report}");
}

#[test]
fn an_unexpected_event_is_found() {
    let report = report(|records| {
        let mut other = records[0].clone();
        other.headers[0].1 = Some(Uuid::now_v7().to_string().into_bytes());
        records.push(other);
    });
    assert!(!report.holds() && report.check.invented.len() == 1, "{report}");
}

#[test]
fn a_wrong_order_is_found_within_a_transaction_and_between_two() {
    for (a, b) in [(0, 1), (1, 2)] {
        let report = report(|records| records.swap(a, b));
        assert!(
            !report.holds() && !report.check.out_of_order.is_empty(),
            "{report}"
        );
    }
}

#[test]
fn other_bytes_are_found() {
    let report = report(|records| records[0].value = Some(b"{}".to_vec()));
    assert!(!report.holds() && report.check.altered.len() == 1, "{report}");
}

#[test]
fn a_duplicate_is_reported_and_allowed() {
    let report = report(|records| {
        let again = records[3].clone();
        records.push(again);
    });
    assert!(report.holds() && report.check.duplicates.len() == 1, "{report}");
}
