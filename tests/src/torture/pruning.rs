//! What the relays delete of the log, drawn from the seed.

use std::fmt;
use std::fs;
use std::path::Path;

use outbox_runtime::schema::Layout;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Plan;

/// The rows of a partition: a few are filled in a minute, and room for a long absence of relays is there.
const PARTITION_ROWS: u32 = 5_000;

/// What relays log after they have deleted something.
const DELETED: &str = "deleted delivered messages";

/// Which retention the relays have, and how the log is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pruning {
    /// What `--retention` is given; none: nothing is deleted.
    keep: Option<&'static str>,
    pub(super) partitioned: bool,
}

impl Pruning {
    /// In partitions, a sequence that goes back may have no room for some seconds, so a plan that asks for certain faults has
    /// one table.
    pub(super) fn of(plan: &Plan) -> Self {
        let drawn = Self::draw(plan.seed);
        Self {
            partitioned: drawn.partitioned && plan.kinds.is_empty(),
            ..drawn
        }
    }

    /// Apart from what is drawn otherwise, so that a seed's faults stay what they were.
    fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed.rotate_left(32));
        let keep = match random.random_range(0..5) {
            0 => None,
            1 => Some("2s"),
            _ => Some("until-acknowledged"),
        };
        Self {
            keep,
            partitioned: random.random_bool(0.4),
        }
    }

    pub(super) fn layout(self) -> Layout {
        match self.partitioned {
            true => Layout::partitioned(PARTITION_ROWS).expect("partitions have rows"),
            false => Layout::Plain,
        }
    }

    /// What a relay is started with.
    pub(super) fn arguments(self) -> Vec<String> {
        let words = self
            .keep
            .map(|keep| ["--retention", keep, "--retention-interval", "200ms"]);
        words.into_iter().flatten().map(str::to_owned).collect()
    }

    /// How many messages the relays say that they deleted. Those of the last round before a kill are not reported.
    pub(super) fn reported(folder: &Path, relays: usize) -> u64 {
        let logs = (0..relays).filter_map(|number| fs::read(folder.join(format!("relay-{number}.log"))).ok());
        logs.map(|log| {
            let log = String::from_utf8_lossy(&log);
            let lines = log.lines().filter(|line| line.contains(DELETED));
            lines.filter_map(messages).sum::<u64>()
        })
        .sum()
    }
}

fn messages(line: &str) -> Option<u64> {
    let reported = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("messages="));
    reported.and_then(|number| number.parse().ok())
}

impl fmt::Display for Pruning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = if self.partitioned {
            "partitions"
        } else {
            "one table"
        };
        match self.keep {
            Some(keep) => write!(formatter, "{table}, delivered messages are kept: {keep}"),
            None => write!(formatter, "{table}, no delivered message is deleted by relays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_draw_everything() {
        let drawn: Vec<Pruning> = (0..50).map(Pruning::draw).collect();
        for keep in [None, Some("2s"), Some("until-acknowledged")] {
            for partitioned in [false, true] {
                assert!(
                    drawn.contains(&Pruning { keep, partitioned }),
                    "{keep:?} {partitioned}"
                );
            }
        }
    }

    #[test]
    fn what_was_deleted_is_read_from_the_log() {
        let line = "2026-01-01T00:00:00Z  INFO deleted delivered messages messages=412 partitions=1";
        assert_eq!(messages(line), Some(412));
        assert_eq!(messages("INFO deleted delivered messages"), None);
    }
}
