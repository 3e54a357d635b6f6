//! What a run found.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::pruning::Pruning;
use super::{Kind, Plan};

/// The outcome of a run; its display is the report that a run ends with.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// What was promised.
    pub exactly_once: bool,
    /// How long it took, from the first round's start.
    pub took: Duration,
    /// How many rounds were compared.
    pub rounds: usize,
    /// Events that were committed, and found delivered.
    pub committed: usize,
    /// Records in the topics, duplicates included.
    pub delivered: usize,
    /// Messages that relays say they deleted from the log.
    pub pruned: u64,
    /// Events whose records were read by nobody before their topic was deleted.
    pub deleted: usize,
    /// Delivered messages that operators had sent again.
    pub sent_again: usize,
    /// Messages that operators skipped, and had sent later.
    pub skipped: usize,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, FaultsOfKind>,
    /// Duplicates by what explains them.
    pub duplicates: BTreeMap<&'static str, usize>,
    /// What went wrong, in words. None: all promises were kept.
    pub failures: Vec<String>,
    disks: bool,
    plan: Plan,
}

/// The faults of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct FaultsOfKind {
    /// How many there were.
    pub count: usize,
    /// How many fell while committed events were not delivered yet: the others prove nothing.
    pub met: usize,
    /// The longest time from a fault's end until all that was committed until then had arrived.
    pub slowest: Duration,
    total: Duration,
}

impl FaultsOfKind {
    pub(super) fn add(&mut self, met: bool, recovery: Duration) {
        self.count += 1;
        self.met += usize::from(met);
        self.slowest = self.slowest.max(recovery);
        self.total += recovery;
    }
}

impl Report {
    pub(super) fn new(plan: &Plan, disks: bool) -> Self {
        Self {
            seed: plan.seed,
            exactly_once: plan.exactly_once,
            took: Duration::ZERO,
            rounds: 0,
            committed: 0,
            delivered: 0,
            pruned: 0,
            deleted: 0,
            sent_again: 0,
            skipped: 0,
            faults: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            failures: Vec::new(),
            disks,
            plan: plan.clone(),
        }
    }

    /// How many faults there were.
    pub fn count(&self) -> usize {
        self.faults.values().map(|faults| faults.count).sum()
    }

    /// How many of them fell while committed events were not delivered yet.
    pub fn met(&self) -> usize {
        self.faults.values().map(|faults| faults.met).sum()
    }

    /// The kind that took longest to recover from, and how long.
    pub fn slowest(&self) -> Option<(Kind, Duration)> {
        let all = self.faults.iter().map(|(kind, faults)| (*kind, faults.slowest));
        all.max_by_key(|(_, slowest)| *slowest)
    }

    /// So many duplicates more are explained by this.
    pub(super) fn add_duplicates(&mut self, reason: &'static str, count: usize) {
        if count > 0 {
            *self.duplicates.entry(reason).or_default() += count;
        }
    }

    /// Where a failed run's logs are.
    pub fn folder(&self) -> &PathBuf {
        &self.plan.folder
    }

    /// What repeats the run.
    pub fn command(&self) -> String {
        format!(
            "./tests/run --torture{} --seed {} --duration {}s",
            if self.exactly_once { " --exactly-once" } else { "" },
            self.seed,
            self.plan.duration.as_secs()
        )
    }
}

impl Report {
    fn write_duplicates(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duplicates: usize = self.duplicates.values().sum();
        writeln!(formatter, "{duplicates} duplicates explained by what happened:")?;
        for (reason, count) in &self.duplicates {
            writeln!(formatter, "  {count:7}  {reason}")?;
        }
        Ok(())
    }

    /// A row for each kind of fault.
    fn write_faults(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| fault | count | with records in flight | recovery, mean | slowest |"
        )?;
        writeln!(formatter, "| --- | ---: | ---: | ---: | ---: |")?;
        for (kind, faults) in &self.faults {
            let mean = faults.total / u32::try_from(faults.count.max(1)).unwrap_or(u32::MAX);
            writeln!(
                formatter,
                "| {kind} | {} | {} | {:.2} s | {:.2} s |",
                faults.count,
                faults.met,
                mean.as_secs_f64(),
                faults.slowest.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = if self.failures.is_empty() {
            "all promises kept"
        } else {
            "FAILED"
        };
        writeln!(
            formatter,
            "{result}: seed {}, {:.0} s, {} rounds, {} faults, {} of them with records in flight",
            self.seed,
            self.took.as_secs_f64(),
            self.rounds,
            self.count(),
            self.met()
        )?;
        writeln!(
            formatter,
            "{} events committed, {} records delivered, {} gone with a deleted topic before they were read",
            self.committed, self.delivered, self.deleted
        )?;
        writeln!(
            formatter,
            "{}; relays deleted {} messages",
            Pruning::of(&self.plan),
            self.pruned
        )?;
        writeln!(
            formatter,
            "operators had {} delivered messages sent again, and skipped {}",
            self.sent_again, self.skipped
        )?;
        self.write_duplicates(formatter)?;
        self.write_faults(formatter)?;
        if let Some((kind, slowest)) = self.slowest() {
            writeln!(
                formatter,
                "slowest recovery: {:.2} s, after `{kind}`",
                slowest.as_secs_f64()
            )?;
        }
        if !self.disks {
            writeln!(
                formatter,
                "full disks were left out: no file system can be mounted here"
            )?;
        }
        for failure in &self.failures {
            writeln!(formatter, "{failure}")?;
        }
        if !self.failures.is_empty() {
            writeln!(formatter, "logs: {}", self.plan.folder.display())?;
            write!(formatter, "again, with the same choices: {}", self.command())?;
        }
        Ok(())
    }
}
