//! The result: what was committed, what arrived, and whether both are the same.

use std::fmt;
use std::time::Duration;

use outbox_runtime::RelayReport;
use outbox_runtime::testkit::checker;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Orders whose transaction committed.
    pub(crate) orders: u64,
    /// Orders whose transaction rolled back.
    pub(crate) refused: u64,
    /// Concurrent transactions.
    pub(crate) writers: u32,
    pub(crate) outage: Outage,
    /// The relay's counters.
    pub(crate) relay: RelayReport,
    /// The checker's result.
    pub(crate) check: checker::Report,
    /// From the first order to the last event.
    pub(crate) took: Duration,
}

/// The time without a broker.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) lasted: Duration,
    /// Committed events that had not arrived when it ended.
    pub(crate) waiting: u64,
}

impl Report {
    /// Whether every committed event arrived unchanged and in order, and nothing else did.
    pub(crate) fn holds(&self) -> bool {
        self.check.holds()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, outage, .. } = self;
        let down = outage.lasted.as_secs_f64();
        let took = self.took.as_secs_f64();
        let committed = format!(
            "{} orders with {} events, {} transactions at a time",
            self.orders, check.committed, self.writers
        );
        let duplicates = match check.duplicates.len() {
            0 => "0".to_owned(),
            // Kafka recognizes an idempotent producer's retries; the mock cluster does not.
            number => format!("{number}; the mock cluster stores a producer's retries again"),
        };
        let out_of_order = check.out_of_order.len() + check.scattered.len();
        let lines = [
            ("committed", committed),
            (
                "rolled back",
                format!("{} orders, after their first event was emitted", self.refused),
            ),
            (
                "broker",
                format!("down for {down:.1} s; {} committed events waited", outage.waiting),
            ),
            (
                "arrived",
                format!(
                    "{} records within {took:.1} s of the first order",
                    check.delivered
                ),
            ),
            ("missing", check.lost.len().to_string()),
            ("unexpected", check.invented.len().to_string()),
            ("out of order", out_of_order.to_string()),
            ("altered", check.altered.len().to_string()),
            ("duplicates", duplicates),
            ("dead letters", self.relay.dead_lettered.to_string()),
        ];
        for (name, text) in lines {
            writeln!(f, "{name:14}{text}")?;
        }
        if self.holds() {
            write!(
                f,
                "\nEvery committed event arrived, in order for each customer, and nothing else did."
            )
        } else {
            write!(f, "\nThe check failed:\n{check}")
        }
    }
}
