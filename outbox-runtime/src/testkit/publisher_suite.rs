//! What every publisher promises.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use uuid::Uuid;

use super::MemoryRecord;
use crate::publisher::{PublishErrorKind, Publisher, Settlement, Ticket};
use crate::record::{OutboxRecord, WireOptions};

/// A publisher under test.
pub trait PublisherHarness: Sized + Send + Sync {
    /// The publisher.
    type Publisher: Publisher;

    /// A new publisher for the broker.
    fn publisher(&self) -> Self::Publisher;

    /// A new, empty topic.
    fn topic(&self) -> impl Future<Output = String> + Send;

    /// Everything in a topic: records of one key in the order of the log.
    fn read(&self, topic: &str) -> impl Future<Output = Vec<MemoryRecord>> + Send;
}

/// Runs every case with a publisher of its own.
///
/// # Panics
/// If the publisher breaks a promise.
pub async fn publisher_suite<H: PublisherHarness>(harness: &H) {
    sends_what_it_was_given(harness).await;
    settles_each_once_and_keeps_the_order(harness).await;
    refuses_what_cannot_be_sent(harness).await;
    withdraws_without_losing_track(harness).await;
}

fn wire() -> WireOptions {
    WireOptions {
        default_source: "/suite".to_owned(),
        time_and_subject: false,
    }
}

fn record<'a>(topic: &'a str, number: u64, key: &'a str, payload: Option<&'a [u8]>) -> OutboxRecord<'a> {
    OutboxRecord {
        seq: number as i64,
        id: Uuid::from_u128(u128::from(number)),
        topic,
        key,
        event_type: "SuiteEventV1",
        content_type: "application/json",
        source: None,
        headers: r#"{"x":"y"}"#,
        payload,
        occurred_at_ms: 1_700_000_000_123,
    }
}

/// Sends, preparing the topic when asked to.
async fn send(
    publisher: &mut impl Publisher,
    ticket: Ticket,
    record: &OutboxRecord<'_>,
) -> Result<(), PublishErrorKind> {
    for _ in 0..10 {
        match publisher.send(ticket, record, &wire()) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == PublishErrorKind::Unprepared => {
                publisher
                    .prepare(record.topic)
                    .await
                    .expect("the topic is prepared");
            }
            Err(error) => return Err(error.kind()),
        }
    }
    panic!("a topic that was prepared has to be prepared again and again");
}

async fn settle(
    publisher: &mut impl Publisher,
    count: usize,
) -> HashMap<Ticket, Result<(), PublishErrorKind>> {
    let mut settled = Vec::new();
    while settled.len() < count {
        publisher.settled(&mut settled).await;
    }
    let all = settled.len();
    let by_ticket: HashMap<_, _> = settled
        .into_iter()
        .map(|Settlement { ticket, result }| (ticket, result.map_err(|error| error.kind())))
        .collect();
    assert_eq!(
        (all, by_ticket.len()),
        (count, count),
        "a record was settled twice"
    );
    by_ticket
}

async fn sends_what_it_was_given<H: PublisherHarness>(harness: &H) {
    let mut publisher = harness.publisher();
    publisher.start().expect("the publisher starts");
    let topic = harness.topic().await;
    send(
        &mut publisher,
        1,
        &record(&topic, 1, "nyckel-ö", Some(b"{ \"a\": 1 }")),
    )
    .await
    .expect("it is taken");
    send(&mut publisher, 2, &record(&topic, 2, "nyckel-ö", None))
        .await
        .expect("a tombstone is taken");
    send(&mut publisher, 3, &record(&topic, 3, "nyckel-ö", Some(b"")))
        .await
        .expect("an empty value is taken");
    let settled = settle(&mut publisher, 3).await;
    assert!(settled.values().all(Result::is_ok), "{settled:?}");
    let read = harness.read(&topic).await;
    let values: Vec<_> = read.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(&b"{ \"a\": 1 }"[..]), None, Some(&b""[..])]);
    assert_eq!(
        (read[0].key.as_str(), read[0].timestamp_ms),
        ("nyckel-ö", 1_700_000_000_123)
    );
    let names: Vec<_> = read[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "content-type",
            "x"
        ]
    );
    assert_eq!(read[0].headers[2].1.as_deref(), Some(&b"/suite"[..]));
}

async fn settles_each_once_and_keeps_the_order<H: PublisherHarness>(harness: &H) {
    const RECORDS: u64 = 5_000;
    let mut publisher = harness.publisher();
    let topic = harness.topic().await;
    for number in 0..RECORDS {
        let key = format!("key-{}", number % 7);
        send(&mut publisher, number, &record(&topic, number, &key, Some(b"{}")))
            .await
            .expect("it is taken");
    }
    let settled = settle(&mut publisher, RECORDS as usize).await;
    assert!(settled.values().all(Result::is_ok), "a record failed");
    let mut by_key: HashMap<String, Vec<u128>> = HashMap::new();
    for record in harness.read(&topic).await {
        by_key.entry(record.key).or_default().push(record.id.as_u128());
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), RECORDS as usize);
    assert!(
        by_key.values().all(|ids| ids.is_sorted()),
        "a key's records are out of order"
    );
}

async fn refuses_what_cannot_be_sent<H: PublisherHarness>(harness: &H) {
    let mut publisher = harness.publisher();
    let topic = harness.topic().await;
    let illegal = send(&mut publisher, 1, &record("no topic", 1, "k", Some(b"{}"))).await;
    assert!(
        matches!(illegal, Err(PublishErrorKind::Record(_))),
        "an illegal topic: {illegal:?}"
    );
    let odd = OutboxRecord {
        headers: "[]",
        ..record(&topic, 2, "k", None)
    };
    let odd = send(&mut publisher, 2, &odd).await;
    assert!(
        matches!(odd, Err(PublishErrorKind::Record(_))),
        "headers that are no object: {odd:?}"
    );
    send(&mut publisher, 3, &record(&topic, 3, "k", Some(b"{}")))
        .await
        .expect("a good one after them is taken");
    assert!(
        settle(&mut publisher, 1).await.contains_key(&3),
        "a record that was refused is settled"
    );
}

async fn withdraws_without_losing_track<H: PublisherHarness>(harness: &H) {
    const RECORDS: u64 = 2_000;
    let mut publisher = harness.publisher();
    let topic = harness.topic().await;
    for number in 0..RECORDS {
        send(&mut publisher, number, &record(&topic, number, "k", Some(b"{}")))
            .await
            .expect("it is taken");
    }
    publisher.withdraw();
    let settled = settle(&mut publisher, RECORDS as usize).await;
    let read: HashSet<u128> = harness
        .read(&topic)
        .await
        .iter()
        .map(|record| record.id.as_u128())
        .collect();
    for (ticket, result) in settled {
        match result {
            Ok(()) => assert!(
                read.contains(&u128::from(ticket)),
                "{ticket} was acknowledged and is not in the log"
            ),
            Err(kind) => {
                assert_eq!(kind, PublishErrorKind::Withdrawn);
                assert!(
                    !read.contains(&u128::from(ticket)),
                    "{ticket} was withdrawn and is in the log"
                );
            }
        }
    }
    send(
        &mut publisher,
        RECORDS,
        &record(&topic, RECORDS, "k", Some(b"{}")),
    )
    .await
    .expect("it is taken");
    let after = settle(&mut publisher, 1).await;
    assert_eq!(
        after.get(&RECORDS),
        Some(&Ok(())),
        "a withdrawal ends the publisher's use"
    );
}
