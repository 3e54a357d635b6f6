//! `outbox shadow report` finds what was planted, and nothing else.

use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::scene::LIMIT;

/// Id, key, value.
type Event = (&'static str, &'static str, &'static str);

const OWN: [Event; 6] = [
    ("1", "a", "one"),
    ("2", "a", "two"),
    ("3", "b", "three"),
    ("4", "b", "four"),
    ("5", "c", "five"),
    ("6", "c", "six"),
];

async fn publish(topic: &Topic, events: &[Event], ids: bool) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", servers::brokers())
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    for (id, key, value) in events {
        let record = FutureRecord::to(topic.name()).key(*key).payload(*value);
        let record = match ids {
            true => record.headers(OwnedHeaders::new().insert(Header {
                key: "ce_id",
                value: Some(*id),
            })),
            false => record,
        };
        producer.send(record, LIMIT).await.unwrap();
    }
}

async fn topics() -> [Topic; 2] {
    let own = Topic::create("own", 3).await;
    let shadow = Topic::named(&servers::brokers(), &format!("{}.shadow", own.name()), 3);
    shadow.ensure().await;
    [own, shadow]
}

async fn report(own: &Topic, options: &str) -> Ran {
    let mut command = command(&format!("shadow report --topic {} {options}", own.name()));
    Ran::of(command.args(["--brokers", &servers::brokers()])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_difference_is_reported() {
    let [own, shadow] = topics().await;
    publish(&own, &OWN, true).await;
    let planted = [
        ("2", "a", "two"),
        ("1", "a", "one"),
        ("4", "b", "changed"),
        ("5", "c", "five"),
        ("6", "c", "six"),
        ("7", "c", "seven"),
    ];
    publish(&shadow, &planted, true).await;
    let ran = report(&own, "--json").await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for (kind, id) in [
        ("missing", "3"),
        ("extra", "7"),
        ("reordered", "2"),
        ("changed", "4"),
    ] {
        assert_eq!(found[kind], 1, "{kind}: {found}");
        // Of two that changed places, the later one of the service's is reported.
        assert_eq!(found["examples"][kind][0]["id"], id, "{kind}: {found}");
    }
    assert_eq!(
        (&found["own"], &found["shadow"], &found["matched"]),
        (&6.into(), &6.into(), &5.into())
    );
    let text = report(&own, "").await.stdout;
    assert!(text.contains("\nmissing: key b, id 3, own "), "{text}");
    // Nothing lies in that time.
    let before = report(&own, "--to 2020-01-01T00:00:00Z").await.done();
    assert!(before.contains("own records     0\n"), "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_same_is_equal_with_ids_and_without() {
    for ids in [true, false] {
        let [own, shadow] = topics().await;
        publish(&own, &OWN, ids).await;
        publish(&shadow, &OWN, true).await;
        let equal = report(&own, "").await.done();
        assert!(equal.contains("matched         6\n"), "{equal}");
    }
    let [own, _shadow] = topics().await;
    let missing = report(&own, "--shadow no-such-topic").await;
    missing.fails(4, &["there is no topic `no-such-topic`"]);
}
