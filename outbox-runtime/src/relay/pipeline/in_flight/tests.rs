//! What is in flight, settled in any order.

use proptest::prelude::*;

use super::*;

fn record(seq: i64) -> OutboxRecord<'static> {
    OutboxRecord {
        seq,
        id: Uuid::from_u128(seq as u128),
        topic: "t",
        key: "",
        event_type: "E",
        content_type: "application/json",
        source: None,
        headers: "",
        payload: Some(b"12345678"),
        occurred_at_ms: 0,
    }
}

fn mark(seq: i64) -> Mark {
    Mark { window: 0, seq }
}

#[test]
fn the_cursor_waits_for_the_lowest_unsettled_record() {
    let mut in_flight = InFlight::default();
    for seq in 1..=3 {
        in_flight.hand_over(0, &record(seq), 0);
    }
    in_flight.settle(1);
    in_flight.settle(2);
    assert_eq!((in_flight.settled_to(), in_flight.outstanding()), (None, 1));
    assert_eq!(in_flight.oldest(), Some(0));
    in_flight.settle(0);
    assert_eq!(in_flight.oldest(), None);
    assert_eq!(
        (in_flight.settled_to(), in_flight.all_settled()),
        (Some(mark(3)), true)
    );
    in_flight.persisted(mark(2));
    assert_eq!(in_flight.settled_to(), Some(mark(3)));
    in_flight.persisted(mark(3));
    assert_eq!((in_flight.settled_to(), in_flight.next_ticket()), (None, 3));
}

#[test]
fn a_record_larger_than_the_bound_goes_alone() {
    let bounds = |records, bytes| Bounds { records, bytes };
    let room = |in_flight: &InFlight, topic, bytes, all, share| {
        in_flight.has_room(topic, bytes, all, share, std::iter::empty(), Default::default())
    };
    let (all, share) = (bounds(10, 100), bounds(5, 50));
    let mut in_flight = InFlight::default();
    assert!(room(&in_flight, 0, 1000, all, share));
    in_flight.hand_over(0, &record(1), 0);
    assert!(room(&in_flight, 0, 42, all, share) && !room(&in_flight, 0, 43, all, share));
    assert!(room(&in_flight, 1, 92, all, share) && !room(&in_flight, 1, 93, all, share));
    assert!(!room(&in_flight, 0, 0, all, bounds(1, 50)) && !room(&in_flight, 1, 0, bounds(1, 100), share));
    assert!(
        in_flight.has_room(1, 1000, all, share, [0].into_iter(), Default::default()),
        "what is stuck is excused"
    );
}

#[test]
fn what_settled_above_the_cursor_is_remembered() {
    let mut in_flight = InFlight::default();
    for seq in 1..=4 {
        in_flight.hand_over(0, &record(seq), 0);
    }
    in_flight.settle(0);
    in_flight.persisted(mark(1));
    in_flight.fail(1);
    in_flight.settle(2);
    assert_eq!(in_flight.oldest(), Some(3), "a failed record is not on its way");
    in_flight.fail(3);
    assert_eq!(in_flight.start_over(), HashSet::from([(3, Uuid::from_u128(3))]));
    assert_eq!(in_flight.next_ticket(), 4, "tickets are never used again");
    in_flight.settle(3);
    assert_eq!(in_flight.settled_to(), None, "an old ticket says nothing");
}

#[test]
fn a_dead_letter_settles_a_failed_record_once() {
    let mut in_flight = InFlight::default();
    in_flight.push_pending(0, &record(1), 0);
    assert_eq!(in_flight.unsettled_row(0), Some((1, Uuid::from_u128(1))));
    in_flight.settle(0);
    in_flight.settle(0);
    assert_eq!(
        (in_flight.settled_to(), in_flight.unsettled_row(0)),
        (Some(mark(1)), None)
    );
}

#[test]
fn what_is_suspended_comes_in_the_order_of_reading_and_is_no_longer_outstanding() {
    let mut in_flight = InFlight::default();
    for seq in 1..=4 {
        in_flight.hand_over(0, &record(seq), (seq % 2) as TopicNumber);
    }
    in_flight.held(0, &record(5), 1);
    in_flight.fail(0);
    let row = |seq: i64| (seq, Uuid::from_u128(seq as u128));
    let suspended = [(0, row(1), false), (2, row(3), true), (4, row(5), false)];
    assert_eq!(in_flight.suspend(1), suspended);
    assert_eq!((in_flight.outstanding(), in_flight.load(1).records), (2, 0));
    for ticket in 0..5 {
        in_flight.settle(ticket);
    }
    assert!(in_flight.all_settled() && !in_flight.is_under_way());
}

proptest! {
    #[test]
    fn the_watermark_never_passes_an_unsettled_record(
        order in Just((0u64..40).collect::<Vec<_>>()).prop_shuffle(),
        fails in proptest::collection::vec(any::<bool>(), 40),
        persist_every in 1usize..10,
    ) {
        let mut in_flight = InFlight::default();
        for seq in 0..40 {
            in_flight.hand_over(0, &record(seq), 0);
        }
        let mut settled = [false; 40];
        for (step, ticket) in order.into_iter().enumerate() {
            if fails[ticket as usize] {
                in_flight.fail(ticket);
            } else {
                in_flight.settle(ticket);
                settled[ticket as usize] = true;
            }
            let prefix = settled.iter().take_while(|settled| **settled).count() as i64;
            if let Some(mark) = in_flight.settled_to() {
                prop_assert_eq!(mark.seq, prefix - 1);
                if step % persist_every == 0 {
                    in_flight.persisted(mark);
                }
            }
        }
        let all_good = !fails.iter().any(|fails| *fails);
        prop_assert_eq!(in_flight.outstanding(), 0);
        prop_assert_eq!(in_flight.all_settled(), all_good);
    }
}
