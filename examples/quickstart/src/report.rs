//! The last word: what was committed, what arrived, and whether that is the same.

use std::fmt;
use std::time::Duration;

use outbox_runtime::RelayReport;
use outbox_runtime::testkit::checker;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Orders whose transaction was committed.
    pub(crate) orders: u64,
    /// Orders whose transaction was rolled back.
    pub(crate) refused: u64,
    /// How many transactions were open at a time.
    pub(crate) writers: u32,
    /// None with real brokers, which are not taken away.
    pub(crate) outage: Option<Outage>,
    /// What the relay says.
    pub(crate) relay: RelayReport,
    /// What the comparison says.
    pub(crate) check: checker::Report,
    /// From the first order to the last event.
    pub(crate) took: Duration,
}

/// The broker was away.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) lasted: Duration,
    /// Committed events that had not arrived when it came back.
    pub(crate) waiting: u64,
}

impl Report {
    /// Every committed event is there, in order and as it was committed, and nothing else is.
    pub(crate) fn holds(&self) -> bool {
        self.check.holds()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, .. } = self;
        let line =
            |f: &mut fmt::Formatter<'_>, name, text: fmt::Arguments<'_>| writeln!(f, "{name:14}{text}");
        line(
            f,
            "committed",
            format_args!(
                "{} orders with {} events, in {} concurrent transactions at a time",
                self.orders, check.committed, self.writers
            ),
        )?;
        line(
            f,
            "rolled back",
            format_args!("{} orders, after their first event was emitted", self.refused),
        )?;
        match &self.outage {
            Some(Outage { lasted, waiting }) => line(
                f,
                "broker",
                format_args!(
                    "away for {:.1} s; {waiting} committed events waited for it",
                    lasted.as_secs_f64()
                ),
            ),
            None => line(f, "broker", format_args!("a real one, so it was not taken away")),
        }?;
        let seconds = self.took.as_secs_f64();
        line(
            f,
            "arrived",
            format_args!(
                "{} records within {seconds:.1} s of the first order",
                check.delivered
            ),
        )?;
        for (name, found) in [
            ("missing", check.lost.len()),
            ("invented", check.invented.len()),
            ("out of order", check.out_of_order.len() + check.scattered.len()),
            ("altered", check.altered.len()),
        ] {
            line(f, name, format_args!("{found}"))?;
        }
        let duplicates = check.duplicates.len();
        match (duplicates, &self.outage) {
            (0, _) => line(f, "duplicates", format_args!("0"))?,
            (_, Some(_)) => line(
                f,
                "duplicates",
                format_args!(
                    "{duplicates}; the mock cluster, unlike Kafka, keeps what a producer sends again"
                ),
            )?,
            (_, None) => line(
                f,
                "duplicates",
                format_args!("{duplicates}, with the same ids and bytes"),
            )?,
        }
        if self.relay.dead_lettered > 0 {
            line(
                f,
                "dead letters",
                format_args!("{}; see quickstart_dead_letters", self.relay.dead_lettered),
            )?;
        }
        if self.holds() {
            write!(
                f,
                "\nEvery committed event arrived, in the order of its customer, and nothing else did."
            )
        } else {
            write!(f, "\nThis is wrong. What the checker found:\n{check}")
        }
    }
}
