//! One round: writers, faults, recoveries, and the comparison at the end.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

use super::fault::{Fault, Field};
use super::inject::Active;
use super::journal::Journal;
use super::kind::Kind;
use super::operators::Done;
use super::pruning::Pruning;
use super::reasons::Reasons;
use super::relays::{LEASE, SLOTS};
use super::rewinds::Rewinds;
use super::scene::Scene;
use super::verdict::{Deletion, Exempt, compare, compare_passes, is_deleted, without_late_ones};
use super::watcher::Duplicate;
use super::{Plan, Report, evidence, secrets};
use crate::writers::{Ledger, RunningWriters, Writers};

/// How long everything that was committed may take to arrive once a fault is over. It is longer than a relay
/// takes to find out that its Kafka client is stuck.
const LIMIT: Duration = Duration::from_secs(240);

/// How long a fault waits for records to fall on.
const FOR_RECORDS: Duration = Duration::from_secs(2);

/// How long each of the eight writers rests between two transactions.
const REST: Duration = Duration::from_millis(100);

struct Round<'a> {
    scene: &'a mut Scene,
    journal: &'a mut Journal,
    report: &'a mut Report,
    writers: RunningWriters,
    relays: usize,
    reasons: Reasons,
    deletions: Vec<Deletion>,
    rewinds: Rewinds,
    /// Messages that rewinds send again, and that have not come.
    awaited: HashMap<Uuid, (String, usize)>,
    /// The newest message that a rewind sends again, up to which the next fault waits.
    sent_again_to: Option<i64>,
    /// Messages that were set aside and sent later: outside of the order of their keys.
    skipped: HashSet<Uuid>,
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
        rewinds: Rewinds::default(),
        awaited: HashMap::new(),
        sent_again_to: None,
        skipped: HashSet::new(),
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
        let faults = self.draw(plan, random);
        let notify = random.random_bool(0.5);
        let lasts = faults.iter().map(|fault| fault.lasts).max().unwrap_or_default();
        let active = self.begin(faults).await;
        tokio::time::sleep(lasts).await;
        let over = self.end(active, notify).await;
        let mut recovery = self.recovered().await;
        if let Some(seq) = self.sent_again_to.take() {
            recovery = match self.scene.passes(seq).await {
                Ok(()) => recovery,
                Err(wrong) => recovery.and(Err(wrong)),
            };
        }
        match recovery {
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

    fn draw(&self, plan: &Plan, random: &mut StdRng) -> Vec<Fault> {
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
        faults
    }

    /// Each of the faults, and whether it met records in flight.
    async fn begin(&mut self, faults: Vec<Fault>) -> Vec<(Active, Kind, bool)> {
        let mut active = Vec::new();
        for fault in faults {
            let mut met = self.records_are_in_flight().await;
            self.journal.note(&format!(
                "{fault}{}",
                if met { "" } else { ", nothing in flight" }
            ));
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
        active
    }

    /// Ends the faults, and notes what operators did.
    async fn end(&mut self, active: Vec<(Active, Kind, bool)>, notify: bool) -> Vec<(Kind, bool)> {
        let (mut over, mut skipped) = (Vec::new(), Vec::new());
        for (mut begun, kind, met) in active {
            self.deletions.extend(begun.deletion.take());
            match begun.done.take() {
                Some(Done::Rewound(mut rewound)) => {
                    self.report.sent_again += rewound.awaited.len();
                    self.awaited.extend(std::mem::take(&mut rewound.awaited));
                    self.sent_again_to = self.sent_again_to.max(Some(rewound.newest));
                    self.rewinds.happened(rewound);
                }
                Some(Done::Skipped(ids)) => skipped = ids,
                Some(Done::Decided) | None => {}
            }
            if let Err(wrong) = self.scene.end(begun, notify).await {
                self.fail(wrong);
            }
            over.push((kind, met));
        }
        match self.scene.replay_skipped(&skipped).await {
            Ok(set_aside) => {
                self.report.skipped += set_aside.len();
                self.skipped.extend(set_aside);
            }
            Err(wrong) => self.fail(wrong),
        }
        over
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
            self.scene.watcher.retain_awaited(&mut self.awaited);
            let deletions = &self.deletions;
            self.awaited
                .retain(|_, (topic, _)| deletions.iter().all(|deletion| deletion.topic != *topic));
            if enough_committed && self.missing.is_empty() && self.awaited.is_empty() {
                return Ok(started.elapsed());
            }
            self.relays_are_alive()?;
            if started.elapsed() > LIMIT {
                return Err(format!(
                    "not recovered within {LIMIT:?}: {} committed events have not arrived, such as {:?}, and {} have not come \
                     again after a rewind, such as {:?}; {} were committed of {enough} waited for",
                    self.missing.len(),
                    self.missing.first(),
                    self.awaited.len(),
                    self.awaited.keys().next(),
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
        for wrong in self.scene.read_logs(&mut self.reasons) {
            self.fail(wrong);
        }
        let duplicates = self.rewinds.explain(self.scene.watcher.new_duplicates());
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
            mut rewinds,
            skipped,
            ..
        } = self;
        // It panics when the database does not have what it had acknowledged.
        let ledger = match tokio::spawn(writers.stop()).await {
            Ok(ledger) => ledger,
            Err(panic) => return report.failures.push(format!("the writers found out: {panic}")),
        };
        scene.all_arrive(&ledger, &deletions).await;
        report.failures.extend(scene.dead_letters_are_empty().await.err());
        report.failures.extend(scene.read_logs(&mut reasons));
        let duplicates = rewinds.explain(scene.watcher.new_duplicates());
        if !reasons.explain(duplicates.len()) {
            report.failures.push(unexplained(&duplicates));
        }
        let records = scene.watcher.take_round();
        let all = records.clone();
        report.delivered += records.len();
        let exempt = Exempt {
            deletions: &deletions,
            skipped: &skipped,
        };
        compare_passes(&ledger, &records, &rewinds.passes, &exempt, report);
        match without_late_ones(scene, &ledger, records).await {
            Ok(records) => {
                let found = compare(&ledger, &records, &exempt, report);
                if let Some(inversion) = found.out_of_order.first() {
                    let folder = report.folder();
                    evidence::keep(folder, inversion.first, &ledger, &all, &rewinds.passes);
                }
                journal.note(&format!("round compared: {found}"));
            }
            Err(wrong) => report.failures.push(wrong),
        }
        report.add_duplicates("an operator rewound the log", rewinds.explained);
        for (reason, count) in reasons.explained {
            report.add_duplicates(reason, count);
        }
        report.rounds += 1;
        if let Err(error) = scene.prune().await {
            journal.note(&format!("what is settled could not be removed: {error}"));
        }
    }
}

impl Scene {
    /// Reads what the relays logged since the last time. Returns what must not be there.
    fn read_logs(&mut self, reasons: &mut Reasons) -> Vec<String> {
        let mut wrong = Vec::new();
        for relay in &mut self.relays {
            let news = relay.news();
            reasons.reported(&news);
            let secret = secrets::reported(&news);
            wrong.extend(secret.map(|line| format!("a relay's log contains a secret: {line}")));
        }
        wrong
    }

    /// Waits for what was committed and is not deleted. What does not come in time is found missing afterwards.
    async fn all_arrive(&mut self, ledger: &Ledger, deletions: &[Deletion]) {
        let mut missing: Vec<_> = ledger
            .committed
            .iter()
            .filter(|written| !is_deleted(deletions, written))
            .map(|written| written.event.id)
            .collect();
        let waiting = Instant::now();
        while !missing.is_empty() && waiting.elapsed() < LIMIT {
            self.watcher.retain_missing(&mut missing);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn unexplained(duplicates: &[Duplicate]) -> String {
    let some: Vec<_> = duplicates
        .iter()
        .take(5)
        .map(|duplicate| duplicate.text.as_str())
        .collect();
    format!(
        "{} duplicates, and nothing happened that explains them, such as: {}",
        duplicates.len(),
        some.join("; ")
    )
}
