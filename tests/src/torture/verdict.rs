//! What arrived in a round beside what was committed, less what is no fault of the relays.

use std::collections::HashSet;

use outbox_runtime::testkit::checker;
use uuid::Uuid;

use super::Report;
use super::passes::{Bounds, Pass};
use super::scene::Scene;
use crate::kafka::ReadRecord;
use crate::writers::{Ledger, WrittenEvent, business};

/// A topic was deleted at this time of the writers' clock.
pub(super) struct Deletion {
    pub(super) topic: String,
    pub(super) time: u64,
}

/// Whether the record of this event may have been in its topic, unread, when that was deleted.
pub(super) fn is_deleted(deletions: &[Deletion], written: &WrittenEvent) -> bool {
    let before = |deletion: &Deletion| {
        deletion.topic == written.event.topic && written.written.inserted < deletion.time
    };
    deletions.iter().any(before)
}

/// Leaves records of this round's events, and those of nobody's. A record of an earlier round's event is a
/// duplicate that came late: it has to be what the business table says, and is not looked at any more.
pub(super) async fn without_late_ones(
    scene: &Scene,
    ledger: &Ledger,
    records: Vec<ReadRecord>,
) -> Result<Vec<ReadRecord>, String> {
    let committed = ledger.committed.iter().map(|written| written.event.id);
    let ours: HashSet<Uuid> = committed.chain(ledger.rolled_back.iter().copied()).collect();
    let strangers = records
        .iter()
        .filter_map(ReadRecord::event_id)
        .filter(|id| !ours.contains(id));
    let strangers: Vec<Uuid> = strangers.collect();
    let recorded = business::recorded(&scene.pool, &strangers).await;
    let recorded = recorded.map_err(|error| format!("the business table could not be read: {error}"))?;
    let mut late = HashSet::new();
    for (id, topic, value) in recorded {
        let same =
            |record: &ReadRecord| record.topic == topic && business::digest(record.value.as_deref()) == value;
        let mut of_it = records.iter().filter(|record| record.event_id() == Some(id));
        if !of_it.all(same) {
            return Err(format!("a late duplicate of {id} has other bytes than the event"));
        }
        late.insert(id);
    }
    let is_late = |record: &ReadRecord| record.event_id().is_some_and(|id| late.contains(&id));
    Ok(records.into_iter().filter(|record| !is_late(record)).collect())
}

/// What is no fault of the relays.
pub(super) struct Exempt<'a> {
    pub(super) deletions: &'a [Deletion],
    pub(super) skipped: &'a HashSet<Uuid>,
}

impl Exempt<'_> {
    /// Events whose records may have been deleted with their topic.
    fn deleted(&self, ledger: &Ledger) -> HashSet<Uuid> {
        let deleted = ledger
            .committed
            .iter()
            .filter(|written| is_deleted(self.deletions, written));
        deleted.map(|written| written.event.id).collect()
    }

    /// One whose first record went with the topic may be seen for the first time when it is sent again; one that was
    /// skipped is sent when its key has gone on.
    fn excuses(&self, deleted: &HashSet<Uuid>, first: &Uuid, second: &Uuid) -> bool {
        deleted.contains(first) || self.skipped.contains(first) || self.skipped.contains(second)
    }
}

/// The checker's verdict, less what operators did.
pub(super) fn compare(
    ledger: &Ledger,
    records: &[ReadRecord],
    exempt: &Exempt<'_>,
    report: &mut Report,
) -> checker::Report {
    let mut found = ledger.check(records);
    let deleted = exempt.deleted(ledger);
    let lost = found.lost.len();
    found.lost.retain(|id| !deleted.contains(id));
    found
        .out_of_order
        .retain(|inversion| !exempt.excuses(&deleted, &inversion.first, &inversion.second));
    report.deleted += lost - found.lost.len();
    report.committed += found.committed;
    if !found.holds() {
        report.failures.push(found.to_string());
    }
    found
}

/// After a rewind, keys are in their order once more, up to the next one.
pub(super) fn compare_passes(
    ledger: &Ledger,
    records: &[ReadRecord],
    passes: &[Pass],
    exempt: &Exempt<'_>,
    report: &mut Report,
) {
    let deleted = exempt.deleted(ledger);
    let cut_short = passes.iter().skip(1).map(|next| Bounds {
        end: next.before,
        is_cut_short: true,
    });
    let whole = Bounds {
        end: records.len(),
        is_cut_short: false,
    };
    for (pass, bounds) in passes.iter().zip(cut_short.chain([whole])) {
        let mut out_of_order = pass.out_of_order(ledger, records, bounds);
        out_of_order.retain(|(first, second)| !exempt.excuses(&deleted, first, second));
        if let Some((first, second)) = out_of_order.first() {
            report.failures.push(format!(
                "after a rewind, {} events came again out of order, such as {first} behind {second}",
                out_of_order.len()
            ));
        }
    }
}
