//! One round: writers, faults, recoveries, and the comparison at the end.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use outbox_runtime::testkit::checker;
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::fault::{Fault, Field, Kind};
use super::journal::Journal;
use super::pruning::Pruning;
use super::reasons::Reasons;
use super::relays::{LEASE, SLOTS};
use super::scene::Scene;
use super::{Plan, Report, secrets};
use crate::kafka::ReadRecord;
use crate::writers::{Ledger, RunningWriters, Writers, WrittenEvent, business};

/// How long everything that was committed may take to arrive once a fault is over. It is longer than a relay
/// takes to find out that its Kafka client is stuck.
const LIMIT: Duration = Duration::from_secs(240);

/// How long a fault waits for records to fall on.
const FOR_RECORDS: Duration = Duration::from_secs(2);

/// How long each of the eight writers rests between two transactions.
const REST: Duration = Duration::from_millis(100);

/// A topic was deleted at this time of the writers' clock.
pub(super) struct Deletion {
    pub(super) topic: String,
    pub(super) time: u64,
}

struct Round<'a> {
    scene: &'a mut Scene,
    journal: &'a mut Journal,
    report: &'a mut Report,
    writers: RunningWriters,
    relays: usize,
    reasons: Reasons,
    deletions: Vec<Deletion>,
    /// Committed events that were looked at, and those among them that have not arrived.
    known: usize,
    missing: Vec<Uuid>,
}

/// Carries out one round. What goes wrong is in the report.
pub(super) async fn run(
    plan: &Plan,
    started: Instant,
    scene: &mut Scene,
    random: &mut StdRng,
    journal: &mut Journal,
    report: &mut Report,
) {
    let relays = random.random_range(1..=SLOTS);
    for (slot, relay) in scene.relays.iter_mut().enumerate() {
        if slot >= relays {
            report.failures.extend(relay.stop().await.err());
        } else if !relay.runs() {
            relay.start(None);
        }
    }
    let topics: Vec<String> = scene.topics.iter().map(|topic| topic.name().to_owned()).collect();
    let writers = Writers::on(&scene.writers_pool, topics.iter().map(String::as_str))
        .transactions(u64::MAX)
        .seed(random.random())
        .pause(REST)
        .through_faults()
        .beside_business_rows();
    let mut round = Round {
        writers: writers.start().await,
        scene,
        journal,
        report,
        relays,
        reasons: match plan.exactly_once {
            true => Reasons::that_explain_nothing(),
            false => Reasons::default(),
        },
        deletions: Vec::new(),
        known: 0,
        missing: Vec::new(),
    };
    round.journal.note(&format!("a round with {relays} relays"));
    for _ in 0..random.random_range(6..=12) {
        if plan.is_over(started) || !round.report.failures.is_empty() {
            break;
        }
        round.faults(plan, random).await;
    }
    round.finish().await;
}

impl Round<'_> {
    /// One fault, or two at once that do not concern the same part.
    async fn faults(&mut self, plan: &Plan, random: &mut StdRng) {
        // Numbers that begin again may have no partition for some seconds, and writers fail.
        let partitioned = Pruning::of(plan).partitioned;
        let able = |kind: &Kind| {
            (self.scene.disks.is_some() || !kind.needs_disk())
                && !(partitioned && *kind == Kind::SequenceReset)
        };
        let wanted = if plan.kinds.is_empty() {
            &Kind::ALL[..]
        } else {
            &plan.kinds
        };
        let kinds: Vec<_> = wanted.iter().copied().filter(able).collect();
        let field = Field {
            lease: LEASE,
            relays: self.relays,
            topics: self.scene.topics.len(),
            exactly_once: plan.exactly_once,
        };
        let draw = |random: &mut StdRng| Fault::draw(random, &kinds, field);
        let mut faults = vec![draw(random)];
        let second = draw(random);
        let alone = |fault: &Fault| fault.kind.comes_alone();
        let apart = faults[0].kind.group() != second.kind.group() && !alone(&faults[0]) && !alone(&second);
        if random.random_bool(0.35) && apart {
            faults.push(second);
        }
        let notify = random.random_bool(0.5);

        let mut active = Vec::new();
        let mut lasts = Duration::ZERO;
        for fault in faults {
            let mut met = self.records_are_in_flight().await;
            self.journal.note(&format!(
                "{fault}{}",
                if met { "" } else { ", nothing in flight" }
            ));
            lasts = lasts.max(fault.lasts);
            let kind = fault.kind;
            if let Some(reason) = kind.explains_duplicates() {
                self.reasons.happened(reason);
            }
            match self.scene.begin(fault, &self.writers, self.relays).await {
                Ok(begun) => {
                    met &= begun.happened;
                    active.push((begun, kind, met));
                }
                Err(wrong) => self.fail(wrong),
            }
        }
        tokio::time::sleep(lasts).await;
        let mut over = Vec::new();
        for (mut begun, kind, met) in active {
            self.deletions.extend(begun.deletion.take());
            if let Err(wrong) = self.scene.end(begun, notify).await {
                self.fail(wrong);
            }
            over.push((kind, met));
        }
        match self.recovered().await {
            Ok(recovery) => {
                self.journal
                    .note(&format!("recovered in {:.2} s", recovery.as_secs_f64()));
                for (kind, met) in over {
                    self.report.faults.entry(kind).or_default().add(met, recovery);
                }
            }
            Err(wrong) => self.fail(wrong),
        }
        self.look_at_duplicates();
    }

    /// Waits a little for events that are committed and have not arrived.
    async fn records_are_in_flight(&self) -> bool {
        let waiting = Instant::now();
        while waiting.elapsed() < FOR_RECORDS {
            if self.writers.committed() > self.scene.watcher.seen() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// Waits until all that was committed up to now, and at least one event more, has arrived.
    async fn recovered(&mut self) -> Result<Duration, String> {
        let started = Instant::now();
        let enough = self.writers.committed() + 1;
        loop {
            let enough_committed = self.writers.committed() >= enough;
            if enough_committed && self.known < enough {
                let deletions = &self.deletions;
                let missing = &mut self.missing;
                self.known = self.writers.look_at_committed(self.known, |written| {
                    if !is_deleted(deletions, written) {
                        missing.push(written.event.id);
                    }
                });
            }
            self.scene.watcher.retain_missing(&mut self.missing);
            if enough_committed && self.missing.is_empty() {
                return Ok(started.elapsed());
            }
            self.relays_are_alive()?;
            if started.elapsed() > LIMIT {
                return Err(format!(
                    "not recovered within {LIMIT:?}: {} committed events have not arrived, such as {:?}; {} were committed \
                     of {enough} waited for",
                    self.missing.len(),
                    self.missing.first(),
                    self.writers.committed()
                ));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn relays_are_alive(&mut self) -> Result<(), String> {
        for (slot, relay) in self.scene.relays.iter_mut().enumerate() {
            if let Some(status) = relay.ended() {
                return Err(format!("relay {slot} ended by itself: {status}"));
            }
        }
        Ok(())
    }

    fn look_at_duplicates(&mut self) {
        let mut secrets = Vec::new();
        for relay in &mut self.scene.relays {
            let news = relay.news();
            self.reasons.reported(&news);
            secrets.extend(secrets::reported(&news).map(str::to_owned));
        }
        for line in secrets {
            self.fail(format!("a relay's log contains a secret: {line}"));
        }
        let duplicates = self.scene.watcher.new_duplicates();
        if !self.reasons.explain(duplicates.len()) {
            self.fail(unexplained(&duplicates));
        }
        for topic in self.scene.watcher.new_vanished() {
            self.fail(format!(
                "records of {topic} are gone that nobody had read, though nobody deleted the topic"
            ));
        }
    }

    fn fail(&mut self, wrong: String) {
        self.journal.note(&format!("FAILED: {wrong}"));
        self.report.failures.push(wrong);
    }

    /// Stops the writers, waits for the rest, and compares.
    async fn finish(mut self) {
        if !self.report.failures.is_empty() {
            return;
        }
        if let Err(wrong) = self.recovered().await {
            return self.fail(wrong);
        }
        let Self {
            scene,
            journal,
            report,
            writers,
            mut reasons,
            deletions,
            ..
        } = self;
        // It panics when the database does not have what it had acknowledged.
        let ledger = match tokio::spawn(writers.stop()).await {
            Ok(ledger) => ledger,
            Err(panic) => return report.failures.push(format!("the writers found out: {panic}")),
        };
        let mut missing: Vec<_> = ledger
            .committed
            .iter()
            .filter(|written| !is_deleted(&deletions, written))
            .map(|written| written.event.id)
            .collect();
        let waiting = Instant::now();
        while !missing.is_empty() && waiting.elapsed() < LIMIT {
            scene.watcher.retain_missing(&mut missing);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        report.failures.extend(scene.dead_letters_are_empty().await.err());
        for relay in &mut scene.relays {
            let news = relay.news();
            reasons.reported(&news);
            let secret =
                secrets::reported(&news).map(|line| format!("a relay's log contains a secret: {line}"));
            report.failures.extend(secret);
        }
        let duplicates = scene.watcher.new_duplicates();
        if !reasons.explain(duplicates.len()) {
            report.failures.push(unexplained(&duplicates));
        }
        let records = scene.watcher.take_round();
        report.delivered += records.len();
        match without_late_ones(scene, &ledger, records).await {
            Ok(records) => {
                let found = compare(&ledger, &records, &deletions, report);
                journal.note(&format!("round compared: {found}"));
            }
            Err(wrong) => report.failures.push(wrong),
        }
        for (reason, count) in reasons.explained {
            *report.duplicates.entry(reason).or_default() += count;
        }
        report.rounds += 1;
        if let Err(error) = scene.prune().await {
            journal.note(&format!("what is settled could not be removed: {error}"));
        }
    }
}

fn unexplained(duplicates: &[String]) -> String {
    let some: Vec<_> = duplicates.iter().take(5).map(String::as_str).collect();
    format!(
        "{} duplicates, and nothing happened that explains them, such as: {}",
        duplicates.len(),
        some.join("; ")
    )
}

/// Whether the record of this event may have been in its topic, unread, when that was deleted.
fn is_deleted(deletions: &[Deletion], written: &WrittenEvent) -> bool {
    let before = |deletion: &Deletion| {
        deletion.topic == written.event.topic && written.written.inserted < deletion.time
    };
    deletions.iter().any(before)
}

/// Leaves records of this round's events, and those of nobody's. A record of an earlier round's event is a
/// duplicate that came late: it has to be what the business table says, and is not looked at any more.
async fn without_late_ones(
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

/// The checker's verdict, less what an operator deleted.
fn compare(
    ledger: &Ledger,
    records: &[ReadRecord],
    deletions: &[Deletion],
    report: &mut Report,
) -> checker::Report {
    let mut found = ledger.check(records);
    let deleted = ledger
        .committed
        .iter()
        .filter(|written| is_deleted(deletions, written));
    let deleted: HashSet<Uuid> = deleted.map(|written| written.event.id).collect();
    let lost = found.lost.len();
    found.lost.retain(|id| !deleted.contains(id));
    // One whose first record went with the topic may be seen for the first time when it is sent again.
    found
        .out_of_order
        .retain(|inversion| !deleted.contains(&inversion.first));
    report.deleted += lost - found.lost.len();
    report.committed += found.committed;
    if !found.holds() {
        report.failures.push(found.to_string());
    }
    found
}
