//! What is known of a series besides its values.

/// A time series, or a family of time series that differ in their labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descriptor {
    /// The name, as Prometheus writes it.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The unit of the values.
    pub unit: Unit,
    /// How the values of several processes are aggregated.
    pub scope: Scope,
    /// What it describes.
    pub group: Group,
    /// The labels' names.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets, without the last one, which is infinity. Empty for other kinds.
    pub buckets: &'static [f64],
    /// A description in one sentence.
    pub help: &'static str,
}

/// Kind of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only increases, and starts at 0 in each process.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// Unit of a series' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of the items in the name.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// How the values of several processes are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each process reports its own work: use the sum.
    Process,
    /// All processes that report it report the same value: use the maximum.
    Log,
    /// Each process reports its own slowest or largest value: use the maximum.
    Slowest,
}

/// What a series describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The program itself.
    Program,
    /// The relay and its deliveries.
    Delivery,
    /// The log and its tables, even if no relay runs.
    Log,
    /// Transactions of a service.
    Writing,
    /// Consumers and the inbox.
    Consumer,
    /// librdkafka's own statistics.
    Kafka,
}

impl Kind {
    /// The name in Prometheus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// A human-readable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}

impl Scope {
    /// The aggregation of PromQL over replicas.
    pub const fn aggregation(self) -> &'static str {
        match self {
            Self::Process => "sum",
            Self::Log | Self::Slowest => "max",
        }
    }
}

impl Group {
    /// All groups, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Program,
        Self::Delivery,
        Self::Log,
        Self::Writing,
        Self::Consumer,
        Self::Kafka,
    ];

    /// A heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Program => "Program",
            Self::Delivery => "Delivery",
            Self::Log => "Log",
            Self::Writing => "Writing",
            Self::Consumer => "Consumers and inbox",
            Self::Kafka => "librdkafka",
        }
    }
}
