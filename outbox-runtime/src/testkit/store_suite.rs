//! What every store promises.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use super::dead_letter_cases::{fences_the_dead_letters, parks_behind, parks_in_order};
use super::fencing_cases::{
    counts_terms_that_were_not_outlived, fences_questions_about_dead_letters, fences_the_cursor,
    hands_the_lease_on, keeps_what_a_later_reader_wrote, knows_who_had_the_cursor,
};
use crate::record::RecordPage;
use crate::store::{Claim, DeadLetter, Fence, Lease, Mark, PageLimit, Reader, Store};

/// A message that a suite writes.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The event id.
    pub id: Uuid,
    /// The key.
    pub key: String,
    /// The topic.
    pub topic: String,
    /// A JSON payload.
    pub payload: Option<String>,
    /// A payload that is not JSON.
    pub payload_binary: Option<Vec<u8>>,
    /// The CloudEvents source.
    pub source: Option<String>,
    /// Headers: the text of a JSON object.
    pub headers: String,
    /// Milliseconds since the Unix epoch.
    pub occurred_at_ms: i64,
}

impl NewMessage {
    /// An ordinary message.
    pub fn numbered(number: u128) -> Self {
        Self {
            id: Uuid::from_u128(number),
            key: format!("key-{number}"),
            topic: "suite".to_owned(),
            payload: Some(format!("{{\"number\": {number}}}")),
            payload_binary: None,
            source: None,
            headers: "{}".to_owned(),
            occurred_at_ms: 1_700_000_000_000,
        }
    }
}

/// A store under test: an empty log of its own for each case.
pub trait StoreHarness: Sized + Send + Sync {
    /// The store.
    type Store: Store;

    /// The store of this log. Called more than once: two relays.
    fn store(&self) -> Self::Store;

    /// Inserts messages in one transaction, in this order, and commits it.
    fn commit(&self, messages: &[NewMessage]) -> impl Future<Output = ()> + Send;

    /// Inserts messages in one transaction, and rolls it back.
    fn roll_back(&self, messages: &[NewMessage]) -> impl Future<Output = ()> + Send;
}

pub(super) const ALL: PageLimit = PageLimit {
    rows: 10_000,
    bytes: 1 << 30,
};

/// Runs every case on a harness of its own, made by `harness`.
///
/// # Panics
/// If the store breaks a promise.
pub async fn store_suite<H: StoreHarness>(harness: impl AsyncFn() -> H) {
    reads_what_was_committed(harness().await).await;
    returns_rows_as_they_were_written(harness().await).await;
    bounds_pages(harness().await).await;
    bounds_pages_of_large_rows(harness().await).await;
    resumes_at_the_persisted_mark(harness().await).await;
    resumes_after_many_small_commits(harness().await).await;
    finds_what_comes_after_nothing(harness().await).await;
    fences_the_cursor(harness().await).await;
    fences_questions_about_dead_letters(harness().await).await;
    keeps_what_a_later_reader_wrote(harness().await).await;
    knows_who_had_the_cursor(harness().await).await;
    buries_once(harness().await).await;
    parks_in_order(harness().await).await;
    parks_behind(harness().await).await;
    fences_the_dead_letters(harness().await).await;
    hands_the_lease_on(harness().await).await;
    counts_terms_that_were_not_outlived(harness().await).await;
    reports_its_status(harness().await).await;
}

pub(super) fn numbered(range: std::ops::Range<u128>) -> Vec<NewMessage> {
    range.map(NewMessage::numbered).collect()
}

pub(super) fn fence(epoch: i64) -> Fence {
    Fence {
        epoch,
        token: Uuid::from_u128(1000 + epoch as u128),
    }
}

pub(super) async fn reader<H: StoreHarness>(harness: &H, epoch: i64) -> <H::Store as Store>::Reader {
    harness
        .store()
        .open_reader(fence(epoch))
        .await
        .expect("a reader opens")
}

async fn page(reader: &mut impl Reader, limit: PageLimit) -> Option<RecordPage> {
    reader.next_page(limit).await.expect("a page is read")
}

/// Numbers and marks of everything there is.
pub(super) async fn rest_of(reader: &mut impl Reader, limit: PageLimit) -> Vec<(u128, Mark)> {
    let mut read = Vec::new();
    while let Some(page) = page(reader, limit).await {
        assert!(!page.is_empty(), "an empty page was returned");
        read.extend(page.iter().map(|row| {
            (
                row.id.as_u128(),
                Mark {
                    window: page.window(),
                    seq: row.seq,
                },
            )
        }));
    }
    read
}

pub(super) fn numbers(read: &[(u128, Mark)]) -> Vec<u128> {
    read.iter().map(|(number, _)| *number).collect()
}

async fn reads_what_was_committed<H: StoreHarness>(harness: H) {
    let mut reader = reader(&harness, 1).await;
    assert!(page(&mut reader, ALL).await.is_none(), "an empty log has a page");
    harness.commit(&numbered(1..4)).await;
    harness.roll_back(&numbered(4..6)).await;
    harness.commit(&numbered(6..8)).await;
    let read = rest_of(&mut reader, ALL).await;
    assert_eq!(
        numbers(&read),
        [1, 2, 3, 6, 7],
        "committed rows come in order, others do not come"
    );
    assert!(read.is_sorted_by_key(|(_, mark)| *mark), "marks grow");
    harness.commit(&numbered(8..9)).await;
    assert_eq!(
        numbers(&rest_of(&mut reader, ALL).await),
        [8],
        "a reader goes on where it was"
    );
}

async fn returns_rows_as_they_were_written<H: StoreHarness>(harness: H) {
    let exact = NewMessage {
        payload: Some("{ \"b\" : 1,\t\"a\":\"\\u00e5 ö 🦀 \\\\ \\\"\" }".to_owned()),
        source: Some("/suite".to_owned()),
        headers: r#"{"x":"ö"}"#.to_owned(),
        ..NewMessage::numbered(1)
    };
    let binary = NewMessage {
        payload: None,
        payload_binary: Some(vec![0, 255, 1, 128]),
        key: "nyckel-ö".to_owned(),
        ..NewMessage::numbered(2)
    };
    let tombstone = NewMessage {
        payload: None,
        ..NewMessage::numbered(3)
    };
    let empty = NewMessage {
        payload: None,
        payload_binary: Some(Vec::new()),
        ..NewMessage::numbered(4)
    };
    let written = [exact, binary, tombstone, empty];
    harness.commit(&written).await;
    let page = page(&mut reader(&harness, 1).await, ALL)
        .await
        .expect("there are rows");
    assert_eq!(page.len(), written.len());
    for (row, message) in page.iter().zip(&written) {
        let value = message
            .payload
            .as_ref()
            .map(String::as_bytes)
            .or(message.payload_binary.as_deref());
        assert_eq!(row.payload, value, "the payload's bytes of {}", message.id);
        assert_eq!(row.id, message.id);
        assert_eq!(
            (row.key, row.topic),
            (message.key.as_str(), message.topic.as_str())
        );
        assert_eq!(row.source, message.source.as_deref());
        assert_eq!(row.occurred_at_ms, message.occurred_at_ms);
        let headers = |json: &str| serde_json::from_str::<serde_json::Value>(json).ok();
        assert_eq!(headers(row.headers), headers(&message.headers));
    }
}

async fn bounds_pages<H: StoreHarness>(harness: H) {
    let mut messages = numbered(1..8);
    messages[4].payload = Some(format!("\"{}\"", "x".repeat(300_000)));
    harness.commit(&messages).await;
    let mut reader = reader(&harness, 1).await;
    let by_rows = page(
        &mut reader,
        PageLimit {
            rows: 2,
            bytes: 1 << 30,
        },
    )
    .await
    .expect("there are rows");
    assert_eq!(by_rows.len(), 2, "rows are bounded");
    let mut sizes = Vec::new();
    while let Some(page) = page(
        &mut reader,
        PageLimit {
            rows: 100,
            bytes: 1000,
        },
    )
    .await
    {
        sizes.push(page.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 5, "each row comes once");
    assert!(sizes.len() >= 2, "bytes are bounded: {sizes:?}");
    assert!(
        sizes.iter().all(|rows| *rows > 0),
        "a record larger than the bound comes all the same"
    );
}

/// With limits as a relay has them, where small rows would all fit into one page.
async fn bounds_pages_of_large_rows<H: StoreHarness>(harness: H) {
    const LARGE: usize = 20_000;
    let limit = PageLimit {
        rows: 3_000,
        bytes: 4 << 20,
    };
    let mut messages = numbered(1..601);
    for message in &mut messages {
        message.payload = Some(format!("\"{}\"", "x".repeat(LARGE)));
    }
    harness.commit(&messages).await;
    let mut reader = reader(&harness, 1).await;
    let mut rows = 0;
    while let Some(page) = page(&mut reader, limit).await {
        assert!(
            page.size() < limit.bytes + 2 * LARGE,
            "a page of {} bytes",
            page.size()
        );
        rows += page.len();
    }
    assert_eq!(rows, 600, "each row comes once");
}

async fn resumes_at_the_persisted_mark<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..11)).await;
    let mut first = reader(&harness, 1).await;
    let read = rest_of(&mut first, PageLimit { rows: 3, ..ALL }).await;
    first.persist(read[4].1).await.expect("the cursor is written");
    first
        .persist(read[4].1)
        .await
        .expect("the cursor is written again");
    harness.commit(&numbered(11..13)).await;
    let mut second = reader(&harness, 2).await;
    let read = rest_of(&mut second, ALL).await;
    assert_eq!(numbers(&read), [6, 7, 8, 9, 10, 11, 12]);
    second.persist(read[6].1).await.expect("the cursor is written");
    let mut third = reader(&harness, 3).await;
    assert!(page(&mut third, ALL).await.is_none(), "settled rows came again");
}

async fn resumes_after_many_small_commits<H: StoreHarness>(harness: H) {
    let mut reader_1 = reader(&harness, 1).await;
    let mut marks = Vec::new();
    for number in 1..30 {
        harness.commit(&numbered(number..number + 1)).await;
        marks.extend(rest_of(&mut reader_1, ALL).await);
    }
    let settled = marks[marks.len() / 2];
    reader_1.persist(settled.1).await.expect("the cursor is written");
    drop(reader_1);
    let read = numbers(&rest_of(&mut reader(&harness, 2).await, ALL).await);
    assert_eq!(read, (settled.0 + 1..30).collect::<Vec<_>>());
}

async fn finds_what_comes_after_nothing<H: StoreHarness>(harness: H) {
    let mut reader = reader(&harness, 1).await;
    // A log that nobody has written to yet is where most relays begin.
    for _ in 0..2 {
        assert!(page(&mut reader, ALL).await.is_none(), "an empty log has a page");
    }
    for number in 1..6 {
        harness.commit(&numbered(number..number + 1)).await;
        assert_eq!(numbers(&rest_of(&mut reader, ALL).await), [number]);
        assert!(page(&mut reader, ALL).await.is_none(), "it was read already");
    }
}

async fn buries_once<H: StoreHarness>(harness: H) {
    harness.commit(&numbered(1..3)).await;
    let mut reader = reader(&harness, 1).await;
    let read = rest_of(&mut reader, ALL).await;
    let dead_letter = DeadLetter {
        seq: read[0].1.seq,
        id: Uuid::from_u128(1),
        reason: "too_large",
        error: "too large".to_owned(),
    };
    reader
        .dead_letter(&dead_letter)
        .await
        .expect("a dead letter is written");
    reader
        .dead_letter(&dead_letter)
        .await
        .expect("a dead letter is written again");
    let status = harness.store().status().await.expect("the status is read");
    assert_eq!((status.dead, status.parked), (1, 0));
}

async fn reports_its_status<H: StoreHarness>(harness: H) {
    let store = harness.store();
    let status = store.status().await.expect("the status is read");
    assert_eq!(
        (
            status.backlog.messages,
            status.backlog.exact,
            status.backlog.oldest_age
        ),
        (0, true, None)
    );
    assert_eq!(status.lease, None);
    harness.commit(&numbered(1..6)).await;
    harness.roll_back(&numbered(6..9)).await;
    let status = store.status().await.expect("the status is read");
    assert_eq!(
        (status.backlog.messages, status.backlog.exact),
        (5, true),
        "before any relay ran, all count"
    );
    assert!(
        status
            .backlog
            .oldest_age
            .is_some_and(|age| age > Duration::from_secs(86_400))
    );

    let mut reader = reader(&harness, 1).await;
    let read = rest_of(&mut reader, ALL).await;
    reader.persist(read[2].1).await.expect("the cursor is written");
    assert_eq!(
        store.status().await.expect("the status is read").backlog.messages,
        2
    );
    reader.persist(read[4].1).await.expect("the cursor is written");
    let status = store.status().await.expect("the status is read");
    assert_eq!((status.backlog.messages, status.backlog.oldest_age), (0, None));

    let mut lease = store.open_lease().await.expect("a lease connection opens");
    let free = lease.read().await.expect("the lease is read");
    let claim = Claim {
        holder: "suite".to_owned(),
        token: Uuid::from_u128(5),
        ttl: Duration::from_secs(60),
    };
    lease
        .take(&free, &claim)
        .await
        .expect("the lease is asked for")
        .expect("a free lease is taken");
    let lease = store
        .status()
        .await
        .expect("the status is read")
        .lease
        .expect("somebody holds the lease");
    assert_eq!((lease.holder.as_str(), lease.epoch), ("suite", 1));
    assert!(lease.age < Duration::from_secs(60));
    let distinct: HashSet<u128> = numbers(&read).into_iter().collect();
    assert_eq!(distinct.len(), 5);
}
