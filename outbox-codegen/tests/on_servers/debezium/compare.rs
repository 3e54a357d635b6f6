//! What the relay and Kafka Connect sent for the same rows.

use std::collections::BTreeSet;

use outbox_tests::kafka::ReadRecord;

use super::log::Log;

/// Headers that come from a row's columns.
const COMPARED: [&str; 4] = ["ce_id", "ce_source", "ce_type", "content-type"];

/// Compares what the relay sent with what Kafka Connect sent for the same row, in whichever order.
pub(super) fn same(first: &ReadRecord, second: &ReadRecord) {
    let (connected, relayed) = match first.header("outbox-headers") {
        Some(_) => (first, second),
        None => (second, first),
    };
    assert_eq!(relayed.value, connected.value, "{relayed:?}");
    assert_eq!(
        (&relayed.key, relayed.partition),
        (&connected.key, connected.partition)
    );
    let headers = |record: &ReadRecord| -> Vec<(String, Option<String>)> {
        COMPARED
            .iter()
            // A row without a source: the relay has one for it.
            .filter(|name| **name != "ce_source" || connected.header("ce_source").is_some())
            .map(|name| ((*name).to_owned(), record.header(name).map(str::to_owned)))
            .collect()
    };
    assert_eq!(headers(relayed), headers(connected));

    // And what differs, as docs/debezium.md says.
    let names: BTreeSet<&str> = connected.headers.iter().map(|(name, _)| name.as_str()).collect();
    let fixed = [
        "ce_id",
        "ce_source",
        "ce_type",
        "content-type",
        "ce_time",
        "outbox-headers",
    ];
    assert_eq!(names, BTreeSet::from(fixed));
    assert!(connected.header("ce_time").unwrap().ends_with('Z'));
    let own: serde_json::Value = serde_json::from_str(connected.header("outbox-headers").unwrap()).unwrap();
    for (name, value) in own.as_object().unwrap() {
        assert_eq!(relayed.header(name), value.as_str());
    }
}

/// The first occurrences of each key's events are in the order in which they were written. Events of one key are
/// JSON here, or binary: between the two connectors there is no order.
pub(super) fn in_order(log: &Log, records: &[Vec<ReadRecord>]) {
    for key in log
        .written
        .iter()
        .map(|(_, key)| key)
        .filter(|key| *key != "key-5")
    {
        let first = log.written.iter().zip(records).filter(|((_, of), _)| of == key);
        let offsets: Vec<i64> = first.map(|(_, records)| records[0].offset).collect();
        assert!(offsets.is_sorted(), "{key}: {offsets:?}");
    }
}
