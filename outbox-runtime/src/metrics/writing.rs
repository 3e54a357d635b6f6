//! What a service records of its transactions.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing::Span;

use super::family::Family;
use super::handles::{Counter, Histogram, counter, histogram};
use super::{ENABLED, describe_once, series};
use crate::trace;

/// The metrics of an outbox. Clones share them. They are registered when the first one is recorded.
#[derive(Clone)]
pub(crate) struct WritingMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    log: String,
    handles: OnceLock<Handles>,
}

struct Handles {
    committed: Counter,
    rolled_back: Counter,
    unknown: Counter,
    retries: Counter,
    events: Histogram,
    bytes: Histogram,
    insert_seconds: Histogram,
    written: Family<2>,
    inbox: Family<2>,
    direct: Family<2>,
}

/// Begin and end of an INSERT.
pub(crate) struct InsertTimer(Option<Instant>);

impl WritingMetrics {
    /// Of an outbox on this log.
    pub(crate) fn new(log: String) -> Self {
        Self {
            shared: Arc::new(Shared {
                log,
                handles: OnceLock::new(),
            }),
        }
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn log(&self) -> &str {
        &self.shared.log
    }

    fn handles(&self) -> &Handles {
        self.shared.handles.get_or_init(|| Handles::new(&self.shared.log))
    }

    /// A transaction was begun, and counts as rolled back unless the guard learns better.
    pub(crate) fn begun(&self, span: Span) -> TransactionGuard {
        TransactionGuard {
            metrics: self.clone(),
            span,
            outcome: Outcome::RolledBack,
        }
    }

    pub(crate) fn retried(&self) {
        self.handles().retries.increment(1);
    }

    /// An INSERT begins.
    pub(crate) fn inserting(&self) -> InsertTimer {
        InsertTimer(ENABLED.then(Instant::now))
    }

    /// It has written so many events with so many bytes of payload.
    pub(crate) fn inserted(&self, timer: &InsertTimer, events: usize, bytes: usize) {
        if let Some(begun) = timer.0
            && events > 0
        {
            let handles = self.handles();
            handles.insert_seconds.record(begun.elapsed().as_secs_f64());
            handles.events.record(events as f64);
            handles.bytes.record(bytes as f64);
        }
    }

    /// Events are written, of these topics and types.
    pub(crate) fn written<'e>(&self, events: impl Iterator<Item = (&'e str, &'e str)>) {
        if ENABLED {
            let handles = self.handles();
            events.for_each(|(topic, event_type)| handles.written.add([topic, event_type], 1));
        }
    }

    /// Events were sent after the commit, by their topics.
    pub(crate) fn sent_directly<'e>(
        &self,
        delivered: impl Iterator<Item = &'e str>,
        lost: impl Iterator<Item = &'e str>,
    ) {
        if ENABLED {
            let direct = &self.handles().direct;
            delivered.for_each(|topic| direct.add([topic, "delivered"], 1));
            lost.for_each(|topic| direct.add([topic, "lost"], 1));
        }
    }

    /// A consumer's message was written into the inbox, or found there.
    pub(crate) fn inbox(&self, consumer: &str, again: bool) {
        let outcome = if again { "duplicate" } else { "new" };
        self.handles().inbox.add([consumer, outcome], 1);
    }
}

impl fmt::Debug for WritingMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritingMetrics")
            .field("log", &self.shared.log)
            .finish_non_exhaustive()
    }
}

impl Handles {
    fn new(log: &str) -> Self {
        describe_once();
        let labels = [(series::LOG, log)];
        let outcome = |outcome: Outcome| {
            let labels = [(series::LOG, log), (series::OUTCOME, outcome.as_str())];
            counter(&series::TRANSACTIONS, &labels)
        };
        Self {
            committed: outcome(Outcome::Committed),
            rolled_back: outcome(Outcome::RolledBack),
            unknown: outcome(Outcome::Unknown),
            retries: counter(&series::TRANSACTION_RETRIES, &labels),
            events: histogram(&series::TRANSACTION_EVENTS, &labels),
            bytes: histogram(&series::TRANSACTION_BYTES, &labels),
            insert_seconds: histogram(&series::INSERT_SECONDS, &labels),
            written: Family::new(&series::WRITTEN_EVENTS, &[log]),
            inbox: Family::new(&series::INBOX_MESSAGES, &[log]),
            direct: Family::new(&series::DIRECT_EVENTS, &[log]),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Committed,
    RolledBack,
    Unknown,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::RolledBack => "rolled_back",
            Self::Unknown => "unknown",
        }
    }
}

/// Counts a transaction when it is dropped, however that comes about, and records the outcome in its span.
#[derive(Debug)]
pub(crate) struct TransactionGuard {
    metrics: WritingMetrics,
    span: Span,
    outcome: Outcome,
}

impl TransactionGuard {
    /// The span of the transaction.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// COMMIT is sent. Until it is answered, nobody knows the outcome.
    pub(crate) fn committing(&mut self) {
        self.outcome = Outcome::Unknown;
    }

    pub(crate) fn committed(&mut self) {
        self.outcome = Outcome::Committed;
    }

    /// The answer proves that nothing was committed.
    pub(crate) fn rolled_back(&mut self) {
        self.outcome = Outcome::RolledBack;
    }
}

impl Drop for TransactionGuard {
    fn drop(&mut self) {
        let handles = self.metrics.handles();
        let counter = match self.outcome {
            Outcome::Committed => &handles.committed,
            Outcome::RolledBack => &handles.rolled_back,
            Outcome::Unknown => &handles.unknown,
        };
        counter.increment(1);
        trace::transaction_ended(
            &self.span,
            self.outcome.as_str(),
            self.outcome == Outcome::Unknown,
        );
    }
}
