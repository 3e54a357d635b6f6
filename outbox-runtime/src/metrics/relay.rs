//! What a relay records of itself.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::ENABLED;
use super::family::Family;
use super::handles::{Counter, Gauge, Histogram, counter, gauge, histogram};
use super::{describe_once, series};

/// Why records may come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DuplicateReason {
    StopDeadline,
    LostLease,
    ProducerRebuilt,
    DatabaseWentBack,
    Rewound,
}

/// What failed before a relay began again at its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayRetry {
    Database,
    Broker,
    Topic,
}

/// Kinds of errors that may be counted.
const ERRORS: [&str; 5] = ["record", "topic", "unavailable", "withdrawn", "fatal"];

impl DuplicateReason {
    const ALL: [Self; 5] = [
        Self::StopDeadline,
        Self::LostLease,
        Self::ProducerRebuilt,
        Self::DatabaseWentBack,
        Self::Rewound,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::StopDeadline => "stop_deadline",
            Self::LostLease => "lost_lease",
            Self::ProducerRebuilt => "producer_rebuilt",
            Self::DatabaseWentBack => "database_went_back",
            Self::Rewound => "rewound",
        }
    }
}

impl RelayRetry {
    const ALL: [Self; 3] = [Self::Database, Self::Broker, Self::Topic];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Broker => "broker",
            Self::Topic => "topic",
        }
    }
}

/// The metrics of one relay. Clones share them. They are registered when the first one is recorded, so that the
/// exporter may be installed after the relay was built.
#[derive(Clone)]
pub(crate) struct RelayMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    log: String,
    handles: OnceLock<Handles>,
}

struct Handles {
    up: Gauge,
    active: Gauge,
    terms: Counter,
    leases_lost: Counter,
    late_renewals: Counter,
    in_flight_records: Gauge,
    in_flight_bytes: Gauge,
    page_records: Histogram,
    page_bytes: Histogram,
    window_records: Histogram,
    transaction_records: Histogram,
    suspended_topics: Gauge,
    duplicates: Family<1>,
    errors: Family<1>,
    retries: Family<1>,
    window: Mutex<Window>,
}

/// The window that pages are read of.
#[derive(Default)]
struct Window {
    number: Option<u64>,
    records: usize,
}

impl RelayMetrics {
    /// Of the relay of this log.
    pub(crate) fn new(log: String) -> Self {
        Self {
            shared: Arc::new(Shared {
                log,
                handles: OnceLock::new(),
            }),
        }
    }

    /// The log's name.
    pub(crate) fn log(&self) -> &str {
        &self.shared.log
    }

    fn handles(&self) -> &Handles {
        self.shared.handles.get_or_init(|| Handles::new(&self.shared.log))
    }

    /// The relay runs, until what is returned is dropped.
    pub(crate) fn running(&self) -> Running {
        let handles = self.handles();
        handles.up.set(1.0);
        handles.active.set(0.0);
        Running(self.clone())
    }

    /// The relay is the active one, until what is returned is dropped.
    pub(crate) fn active(&self) -> Active {
        let handles = self.handles();
        handles.active.set(1.0);
        handles.terms.increment(1);
        Active(self.clone())
    }

    pub(crate) fn lease_lost(&self) {
        self.handles().leases_lost.increment(1);
    }

    pub(crate) fn late_renewal(&self) {
        self.handles().late_renewals.increment(1);
    }

    pub(crate) fn possible_duplicates(&self, reason: DuplicateReason, records: u64) {
        self.handles().duplicates.add([reason.as_str()], records);
    }

    /// A record came back, or the producer failed.
    pub(crate) fn publish_error(&self, reason: &'static str) {
        self.handles().errors.add([reason], 1);
    }

    pub(crate) fn retry(&self, reason: RelayRetry) {
        self.handles().retries.add([reason.as_str()], 1);
    }

    pub(crate) fn in_flight(&self, records: usize, bytes: usize) {
        let handles = self.handles();
        handles.in_flight_records.set(records as f64);
        handles.in_flight_bytes.set(bytes as f64);
    }

    pub(crate) fn suspended_topics(&self, topics: usize) {
        self.handles().suspended_topics.set(topics as f64);
    }

    /// A page of a window was read. Its window ends with the first page of another.
    pub(crate) fn page(&self, window: u64, records: usize, bytes: usize) {
        if !ENABLED {
            return;
        }
        let handles = self.handles();
        handles.page_records.record(records as f64);
        handles.page_bytes.record(bytes as f64);
        let mut current = handles.window.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != Some(window) {
            handles.close(&mut current);
            current.number = Some(window);
        }
        current.records += records;
    }

    /// The log ends here for now, and so does the window.
    pub(crate) fn end_of_log(&self) {
        if ENABLED {
            let handles = self.handles();
            handles.close(&mut handles.window.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A transaction of Kafka was committed with so many records.
    pub(crate) fn transaction(&self, records: usize) {
        self.handles().transaction_records.record(records as f64);
    }
}

/// A relay that runs.
pub(crate) struct Running(RelayMetrics);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.handles().up.set(0.0);
        // What the producer still has is nobody's any more.
        self.0.in_flight(0, 0);
    }
}

/// A relay that is the active one.
pub(crate) struct Active(RelayMetrics);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.handles().active.set(0.0);
        self.0.suspended_topics(0);
    }
}

impl fmt::Debug for RelayMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayMetrics")
            .field("log", &self.shared.log)
            .finish_non_exhaustive()
    }
}

impl Handles {
    fn new(log: &str) -> Self {
        describe_once();
        let labels = [(series::LOG, log)];
        let handles = Self {
            up: gauge(&series::RELAY_UP, &labels),
            active: gauge(&series::RELAY_ACTIVE, &labels),
            terms: counter(&series::LEADER_TERMS, &labels),
            leases_lost: counter(&series::LEASES_LOST, &labels),
            late_renewals: counter(&series::LATE_RENEWALS, &labels),
            in_flight_records: gauge(&series::IN_FLIGHT_RECORDS, &labels),
            in_flight_bytes: gauge(&series::IN_FLIGHT_BYTES, &labels),
            page_records: histogram(&series::PAGE_RECORDS, &labels),
            page_bytes: histogram(&series::PAGE_BYTES, &labels),
            window_records: histogram(&series::WINDOW_RECORDS, &labels),
            transaction_records: histogram(&series::TRANSACTION_RECORDS, &labels),
            suspended_topics: gauge(&series::SUSPENDED_TOPICS, &labels),
            duplicates: Family::new(&series::POSSIBLE_DUPLICATES, &[log]),
            errors: Family::new(&series::PUBLISH_ERRORS, &[log]),
            retries: Family::new(&series::RELAY_RETRIES, &[log]),
            window: Mutex::default(),
        };
        // There at 0, so that the first one is seen as an increase.
        for reason in DuplicateReason::ALL {
            handles.duplicates.add([reason.as_str()], 0);
        }
        for reason in ERRORS {
            handles.errors.add([reason], 0);
        }
        for reason in RelayRetry::ALL {
            handles.retries.add([reason.as_str()], 0);
        }
        handles
    }

    fn close(&self, window: &mut Window) {
        if window.records > 0 {
            self.window_records.record(window.records as f64);
        }
        *window = Window::default();
    }
}
