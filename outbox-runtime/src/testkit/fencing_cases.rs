//! Who may write: one holder of the lease, and of its readers the last one.

use std::time::Duration;

use uuid::Uuid;

use super::store_suite::{ALL, StoreHarness, fence, numbered, numbers, reader, rest_of};
use crate::store::{
    Claim, CursorChange, DeadLetter, Fence, Lease, LeaseRow, Reader, RowId, Store as _, StoreError,
    StoreErrorKind, TopicKey, Waiting,
};

pub(super) async fn fences_the_cursor<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..4)).await;
    let mut old = reader(&harness, 1).await;
    let read = rest_of(&mut old, ALL).await;
    let mut new = reader(&harness, 2).await;
    let fenced = old
        .persist(read[2].1)
        .await
        .expect_err("an earlier holder wrote the cursor");
    assert_eq!(fenced.kind(), StoreErrorKind::Fenced);
    let dead_letter = DeadLetter {
        seq: read[0].1.seq,
        id: Uuid::from_u128(1),
        reason: "suite",
        error: "x".to_owned(),
    };
    let fenced = old
        .dead_letter(&dead_letter)
        .await
        .expect_err("an earlier holder wrote a dead letter");
    assert_eq!(fenced.kind(), StoreErrorKind::Fenced);
    assert_eq!(
        numbers(&rest_of(&mut new, ALL).await),
        [1, 2, 3],
        "the cursor had moved"
    );
    let Err(fenced) = harness.store().open_reader(fence(1)).await else {
        panic!("an earlier epoch opened a reader")
    };
    assert_eq!(fenced.kind(), StoreErrorKind::Fenced);
    let impostor = Fence {
        token: Uuid::from_u128(7),
        ..fence(2)
    };
    let Err(fenced) = harness.store().open_reader(impostor).await else {
        panic!("another token opened a reader")
    };
    assert_eq!(fenced.kind(), StoreErrorKind::Fenced);
}

/// What is not in the dead letters may have been taken out of them by somebody who moved the cursor. An answer that does not
/// say so would be taken for "nothing waits".
pub(super) async fn fences_questions_about_dead_letters<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..2)).await;
    let mut old = reader(&harness, 1).await;
    let row = rest_of(&mut old, ALL).await[0].1.seq;
    let rows = [(row, Uuid::from_u128(1))];
    let which = Waiting::ForTopic {
        topic: "suite".to_owned(),
        after: 0,
    };
    let key = [("suite".to_owned(), "a".to_owned())];
    assert!(
        ask(&mut old, &which, &key, &rows)
            .await
            .iter()
            .all(Option::is_none)
    );
    let _new = reader(&harness, 2).await;
    for (number, refused) in ask(&mut old, &which, &key, &rows).await.iter().enumerate() {
        assert_eq!(*refused, Some(StoreErrorKind::Fenced), "question {number}");
    }
}

/// Asks all that can be asked about dead letters. Returns why each question was refused.
async fn ask<R: Reader>(
    reader: &mut R,
    which: &Waiting,
    keys: &[TopicKey],
    rows: &[RowId],
) -> [Option<StoreErrorKind>; 7] {
    let why = |refused: Option<StoreError>| refused.map(|refused| refused.kind());
    [
        why(reader.parked_topics().await.err()),
        why(reader.dead_letter_topics().await.err()),
        why(reader.dead_letters(which, ALL).await.err()),
        why(reader.have_dead_letters(keys).await.err()),
        why(reader.released("suite", None, ALL).await.err()),
        why(reader.in_dead_letters(rows).await.err()),
        why(reader.interventions().await.err()),
    ]
}

/// What an earlier reader of the same holder has left on its way must not undo what a later one wrote. Whether it is
/// refused or does nothing is the store's choice.
pub(super) async fn keeps_what_a_later_reader_wrote<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..6)).await;
    let mut earlier = reader(&harness, 1).await;
    let read = rest_of(&mut earlier, ALL).await;
    let mut later = reader(&harness, 1).await;
    let again = rest_of(&mut later, ALL).await;
    later.persist(again[3].1).await.expect("the cursor is written");
    if let Err(refused) = earlier.persist(read[1].1).await {
        assert_eq!(refused.kind(), StoreErrorKind::Fenced);
    }
    let rest = rest_of(&mut reader(&harness, 1).await, ALL).await;
    assert_eq!(numbers(&rest), [5], "the cursor went back");
}

/// A relay that claims the cursor again learns whether another one had it in between.
pub(super) async fn knows_who_had_the_cursor<H: StoreHarness>(harness: H) {
    let store = harness.store();
    let claim = async |epoch, earlier| {
        let reader = store.open_reader_after(fence(epoch), earlier).await;
        let reader = reader.expect("a reader opens");
        (Some(reader.claim_id()), reader.cursor_change())
    };
    let (first, change) = claim(1, None).await;
    assert_eq!(change, CursorChange::Unchanged, "nobody claimed it earlier");
    let (in_the_same_term, change) = claim(1, first).await;
    assert_eq!(change, CursorChange::Unchanged);
    let (in_the_next_term, change) = claim(2, in_the_same_term).await;
    assert_eq!(change, CursorChange::Unchanged, "no other relay has claimed it");
    claim(3, None).await;
    let (last, change) = claim(4, in_the_next_term).await;
    assert_eq!(change, CursorChange::Claimed);
    let (_, change) = claim(4, last).await;
    assert_eq!(change, CursorChange::Unchanged, "it was told once");
}

pub(super) async fn hands_the_lease_on<H: StoreHarness>(harness: H) {
    let (one, two) = (harness.store(), harness.store());
    let mut one = one.open_lease().await.expect("a lease connection opens");
    let mut two = two.open_lease().await.expect("a lease connection opens");
    let free = one.read().await.expect("the lease is read");
    let nobody = LeaseRow {
        epoch: 0,
        token: None,
        renewals: 0,
        ttl: Duration::ZERO,
    };
    assert_eq!(free, nobody);
    let held = take(&mut one, &free, 1).await.expect("a free lease is taken");
    let expected = Fence {
        epoch: 1,
        token: Uuid::from_u128(1),
    };
    assert_eq!(held, expected);
    assert_eq!(take(&mut two, &free, 2).await, None, "two hold the lease");

    let row = two.read().await.expect("the lease is read");
    assert_eq!(
        (row.epoch, row.token, row.ttl),
        (1, Some(Uuid::from_u128(1)), Duration::from_secs(60))
    );
    assert!(one.renew(held).await.expect("the lease is renewed"));
    let moved = two.read().await.expect("the lease is read");
    assert_ne!(moved, row, "a renewal cannot be seen");
    assert_eq!(take(&mut two, &row, 2).await, None, "the row had moved");
    let taken = take(&mut two, &moved, 2).await.expect("a silent holder loses it");
    assert_eq!(taken.epoch, 2);
    let renewed = one.renew(held).await.expect("the lease is renewed");
    assert!(!renewed, "the old holder renewed");
    one.release(held)
        .await
        .expect("releasing another's lease does nothing");
    let renewed = two.renew(taken).await.expect("the lease is renewed");
    assert!(renewed, "the old holder gave it away");

    two.release(taken).await.expect("the lease is released");
    let free = one.read().await.expect("the lease is read");
    assert_eq!(free.token, None);
    let again = take(&mut one, &free, 3).await.expect("a free lease is taken");
    assert_eq!(again.epoch, 3, "epochs never repeat");
    one.wake_active().await.expect("waking is always possible");
}

/// Asks for the lease for a minute.
async fn take<L: Lease>(lease: &mut L, row: &LeaseRow, token: u128) -> Option<Fence> {
    let claim = Claim {
        holder: format!("relay-{token}"),
        token: Uuid::from_u128(token),
        ttl: Duration::from_secs(60),
    };
    lease.take(row, &claim).await.expect("the lease is asked for")
}

/// A process that loses its lease and lives on did not die, whoever has the lease by then.
pub(super) async fn counts_terms_that_were_not_outlived<H: StoreHarness>(harness: H) {
    let store = harness.store();
    let mut lease = store.open_lease().await.expect("a lease connection opens");
    let mut fences = Vec::new();
    for token in 1..=4 {
        let row = lease.read().await.expect("the lease is read");
        let claim = Claim {
            holder: format!("relay-{token}"),
            token: Uuid::from_u128(token),
            ttl: Duration::from_secs(60),
        };
        let taken = lease.take(&row, &claim).await.expect("the lease is asked for");
        fences.push(taken.expect("nobody else takes it"));
    }
    let present = fences[3];
    let unended = async || {
        let mut reader = store.open_reader(present).await.expect("a reader opens");
        let history = reader.poison_history().await.expect("the lease's row is read");
        history.unended_terms
    };
    // The present one does not count: nobody knows how it will end.
    assert_eq!(unended().await, 3);
    for (outlived, left) in [(fences[2], 2), (fences[0], 1), (present, 0)] {
        lease.outlived(outlived).await.expect("it is noted");
        assert_eq!(unended().await, left, "after {outlived:?}");
    }
    lease.release(present).await.expect("the lease is released");
    lease.outlived(present).await.expect("it is noted");
    let row = lease.read().await.expect("the lease is read");
    let claim = Claim {
        holder: "relay-5".to_owned(),
        token: Uuid::from_u128(5),
        ttl: Duration::from_secs(60),
    };
    let taken = lease.take(&row, &claim).await.expect("the lease is asked for");
    let mut reader = store
        .open_reader(taken.expect("nobody else takes it"))
        .await
        .expect("a reader opens");
    let history = reader.poison_history().await.expect("the lease's row is read");
    assert_eq!(history.unended_terms, 0, "no count falls below none");
}
