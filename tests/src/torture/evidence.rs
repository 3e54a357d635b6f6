//! What arrived of a key whose events failed a comparison, for whoever looks for the cause.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use uuid::Uuid;

use super::passes::Pass;
use crate::kafka::ReadRecord;
use crate::writers::{Ledger, WrittenEvent};

/// Writes into `records.log` all events of this one's key in their order of writing, and all their records in the order
/// of arrival, with the rewinds in between.
pub(super) fn keep(folder: &Path, event: Uuid, ledger: &Ledger, records: &[ReadRecord], passes: &[Pass]) {
    let events: HashMap<Uuid, &WrittenEvent> = (ledger.committed.iter())
        .map(|written| (written.event.id, written))
        .collect();
    let Some(of) = events.get(&event).map(|written| &written.event) else {
        return;
    };
    let is_of_key =
        |written: &WrittenEvent| (&written.event.topic, &written.event.key) == (&of.topic, &of.key);
    let mut text = format!("{event} of topic {}, key {}\n", of.topic, of.key);
    for written in ledger.committed.iter().filter(|written| is_of_key(written)) {
        let _ = writeln!(text, "{} {:?}", written.event.id, written.written);
    }
    for (place, record) in records.iter().enumerate() {
        for pass in passes.iter().filter(|pass| pass.begun == place) {
            let _ = writeln!(
                text,
                "rewound to {} messages, after {}",
                pass.ids.len(),
                pass.before
            );
        }
        let id = record
            .event_id()
            .filter(|id| events.get(id).is_some_and(|written| is_of_key(written)));
        if let Some(id) = id {
            let _ = writeln!(
                text,
                "{place}: {}/{}@{} {id}",
                record.topic, record.partition, record.offset
            );
        }
    }
    if let Err(error) = fs::write(folder.join("records.log"), text) {
        eprintln!("the records of a key cannot be kept: {error}");
    }
}
