//! What every store promises of its dead letters.

use uuid::Uuid;

use super::store_suite::{ALL, NewMessage, StoreHarness, numbered, reader, rest_of};
use crate::record::OutboxRecord;
use crate::store::{
    DeadLetter, DeadLetterPage, PageLimit, Parked, Reader, RowId, Store, StoreErrorKind, Waiting,
};

fn why() -> Parked {
    Parked {
        reason: "topic_unavailable",
        error: "not there".to_owned(),
    }
}

async fn waiting(reader: &mut impl Reader, topic: &str, after: i64, rows: usize) -> DeadLetterPage {
    let which = Waiting::ForTopic {
        topic: topic.to_owned(),
        after,
    };
    let limit = PageLimit { rows, ..ALL };
    let page = reader.dead_letters(&which, limit).await;
    page.expect("parked rows are read")
}

fn numbers(page: &DeadLetterPage) -> Vec<u128> {
    page.records.iter().map(|record| record.id.as_u128()).collect()
}

/// All rows of the log.
async fn rows_of(reader: &mut impl Reader) -> Vec<RowId> {
    let read = rest_of(reader, ALL).await;
    let rows = read
        .iter()
        .map(|(number, mark)| (mark.seq, Uuid::from_u128(*number)));
    rows.collect()
}

fn too_large(row: RowId) -> DeadLetter {
    DeadLetter {
        seq: row.0,
        id: row.1,
        reason: "too_large",
        error: "too large".to_owned(),
    }
}

/// Parked rows come back as they were written, in the order in which they were parked, and once.
pub(super) async fn parks_in_order<H: StoreHarness>(harness: H) {
    let mut messages = numbered(1..7);
    messages[5].topic = "other".to_owned();
    messages[2] = NewMessage {
        payload: None,
        payload_binary: Some(vec![0, 255]),
        source: Some("/own".to_owned()),
        headers: r#"{"x":"y"}"#.to_owned(),
        ..messages[2].clone()
    };
    harness.commit(&messages).await;
    let mut reader = reader(&harness, 1).await;
    let rows = rows_of(&mut reader).await;
    assert!(reader.parked_topics().await.expect("topics are read").is_empty());
    let order = [rows[3], rows[2], rows[0]];
    reader.park(&order, &why()).await.expect("rows are parked");
    reader
        .park(&[rows[2], rows[4], rows[5]], &why())
        .await
        .expect("rows are parked");
    let mut topics = reader.parked_topics().await.expect("topics are read");
    topics.sort();
    assert_eq!(topics, ["other", "suite"]);
    let all = waiting(&mut reader, "suite", 0, 10).await;
    assert_eq!(numbers(&all), [4, 3, 1, 5], "not the order of parking");
    assert_is(all.records.get(1), rows[2], &messages[2]);
    let first = waiting(&mut reader, "suite", 0, 2).await;
    let second = waiting(&mut reader, "suite", first.last_position, 10).await;
    assert_eq!((numbers(&first), numbers(&second)), (vec![4, 3], vec![1, 5]));
    reader
        .take_out(&[rows[2], rows[3]])
        .await
        .expect("rows are taken out");
    assert_eq!(numbers(&waiting(&mut reader, "suite", 0, 10).await), [1, 5]);
    let asked = [rows[0], rows[2], (rows[4].0, rows[0].1)];
    let there = reader.in_dead_letters(&asked).await.expect("rows are looked for");
    assert_eq!(there, [rows[0]]);
    reader
        .fail_again(&too_large(rows[0]))
        .await
        .expect("a failure is written");
    assert_eq!(numbers(&waiting(&mut reader, "suite", 0, 10).await), [5]);
    let status = harness.store().status().await.expect("the status is read");
    assert_eq!((status.dead, status.parked), (1, 2));
    let nobody = Waiting::ForReplay {
        except: vec!["other".to_owned()],
        after: 0,
    };
    let replays = reader.dead_letters(&nobody, ALL).await.expect("replays are read");
    assert!(replays.records.is_empty(), "nobody asked for a replay");
}

/// A record without a text, with a source and with headers, as it was written.
fn assert_is(record: Option<OutboxRecord<'_>>, row: RowId, message: &NewMessage) {
    let record = record.expect("it is there");
    let expected = OutboxRecord {
        seq: row.0,
        id: message.id,
        topic: "suite",
        key: &message.key,
        event_type: "SuiteEventV1",
        content_type: "application/json",
        source: Some("/own"),
        headers: record.headers,
        payload: Some(&[0, 255]),
        occurred_at_ms: message.occurred_at_ms,
    };
    assert_eq!(record, expected);
}

/// Rows wait behind the first of their key, and go when nobody who is dead is before them.
pub(super) async fn parks_behind<H: StoreHarness>(harness: H) {
    let mut messages = numbered(1..46);
    for (message, number) in messages.iter_mut().zip(1..) {
        message.key = match number {
            1..=2 => "a".to_owned(),
            3..=42 => "b".to_owned(),
            _ => "c".to_owned(),
        };
    }
    harness.commit(&messages).await;
    let mut reader = reader(&harness, 1).await;
    let rows = rows_of(&mut reader).await;
    let keys = ["a", "b", "none"].map(|key| ("suite".to_owned(), key.to_owned()));
    let have = reader
        .have_dead_letters(&keys)
        .await
        .expect("keys are looked for");
    assert_eq!(have, [false, false, false]);
    for row in [rows[0], rows[42]] {
        reader
            .dead_letter(&too_large(row))
            .await
            .expect("a dead letter is written");
    }
    reader.park_behind(&rows).await.expect("rows are parked");
    reader
        .park_behind(&rows[..3])
        .await
        .expect("rows are parked again");
    let status = harness.store().status().await.expect("the status is read");
    assert_eq!((status.dead, status.parked), (2, 43));
    let have = reader
        .have_dead_letters(&keys)
        .await
        .expect("keys are looked for");
    assert_eq!(have, [true, true, false]);
    assert_eq!(
        reader.dead_letter_topics().await.expect("topics are read"),
        ["suite"]
    );
    releases_in_portions(&mut reader, &rows).await;
}

/// Those of `a` and `c` wait behind dead ones; those of `b` come some at a time.
async fn releases_in_portions(reader: &mut impl Reader, rows: &[RowId]) {
    let page = reader.released("suite", None, ALL).await.expect("rows are read");
    let ids: Vec<u128> = page.records.iter().map(|record| record.id.as_u128()).collect();
    assert_eq!(ids, (3..19).collect::<Vec<_>>());
    assert!(page.last.iter().all(|last| !last) && page.next.is_none());
    let few = PageLimit { rows: 2, ..ALL };
    let page = reader
        .released("suite", Some("b"), few)
        .await
        .expect("rows are read");
    assert_eq!(page.records.len(), 2);
    let page = reader
        .released("suite", Some("c"), ALL)
        .await
        .expect("rows are read");
    // In which order keys come is the store's own affair, so `b` may be behind `c`.
    assert!(
        page.records
            .iter()
            .all(|record| (3..19).contains(&record.id.as_u128()))
    );
    let page = reader.released("other", None, ALL).await.expect("rows are read");
    assert!(page.records.is_empty());
    reader.take_out(&rows[2..30]).await.expect("rows are taken out");
    let page = reader.released("suite", None, ALL).await.expect("rows are read");
    let last: Vec<bool> = (31..=42).map(|number| number == 42).collect();
    assert_eq!((page.records.len(), page.last), (12, last));
    // Without the dead one, what is behind it goes.
    reader.take_out(&rows[..1]).await.expect("a row is taken out");
    let page = reader
        .released("suite", Some("a"), ALL)
        .await
        .expect("rows are read");
    let first = page.records.iter().find(|record| record.key == "a");
    assert_eq!(first.map(|record| record.id.as_u128()), Some(2));
    reader
        .park_behind(&rows[43..44])
        .await
        .expect("a row is parked again");
}

/// Whoever held the cursor under an earlier epoch changes no dead letter any more.
pub(super) async fn fences_the_dead_letters<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..3)).await;
    let mut old = reader(&harness, 1).await;
    let rows = rows_of(&mut old).await;
    old.park(&rows[..1], &why()).await.expect("a row is parked");
    let mut new = reader(&harness, 2).await;
    let dead_letter = too_large(rows[0]);
    let refused = [
        old.park(&rows[1..], &why()).await,
        old.park_behind(&rows[1..]).await,
        old.take_out(&rows[..1]).await,
        old.fail_again(&dead_letter).await,
        old.dead_letter(&dead_letter).await,
    ];
    for refused in refused {
        assert_eq!(
            refused.expect_err("an earlier holder wrote").kind(),
            StoreErrorKind::Fenced
        );
    }
    assert_eq!(numbers(&waiting(&mut new, "suite", 0, 10).await), [1]);
}
