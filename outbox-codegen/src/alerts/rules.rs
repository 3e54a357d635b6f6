//! The rules. Series of the log are aggregated by `max`, and those of processes by `sum`.

use std::time::Duration;

use outbox_runtime::metrics::Descriptor;
use outbox_runtime::metrics::series::{self, CONSUMER, LOG, REASON, STATE, TOPIC};

use crate::alerts::Thresholds;
use crate::promql::Query;

/// The bucket that is the objective: 99.9 % of the records within 100 ms.
pub(crate) const OBJECTIVE_SECONDS: f64 = 0.1;
const ERROR_BUDGET: f64 = 0.001;

/// A series that Prometheus records.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) expr: String,
}

/// A rule that calls somebody.
pub(super) struct Alert {
    pub(super) name: &'static str,
    pub(super) expr: String,
    pub(super) lasting: Duration,
    pub(super) severity: Severity,
    pub(super) summary: String,
}

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// At once.
    Critical,
    /// On the next working day.
    Warning,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// Series of a log, once for all processes that report them.
const OF_LOG: [&Descriptor; 7] = [
    &series::BACKLOG_RECORDS,
    &series::BACKLOG_OLDEST_AGE,
    &series::LEASE_HELD,
    &series::LEASE_EPOCH,
    &series::LOG_TABLE_BYTES,
    &series::LOG_PARTITIONS_AHEAD,
    &series::OLDEST_TRANSACTION,
];

/// Windows of the burn rates.
const WINDOWS: [&str; 4] = ["5m", "30m", "1h", "6h"];

pub(super) fn recorded() -> Vec<Recorded> {
    let single = OF_LOG.iter().map(|series| Recorded {
        name: of_log(series),
        expr: Query::of(series, &[LOG]).value(),
    });
    let dead_letters = Recorded {
        name: of_log(&series::DEAD_LETTERS),
        expr: Query::of(&series::DEAD_LETTERS, &[LOG, TOPIC, STATE, REASON]).value(),
    };
    let slow = WINDOWS.iter().map(|window| Recorded {
        name: slow_ratio(window),
        expr: Query::of(&series::DELIVERY_SECONDS, &[LOG]).share_above(OBJECTIVE_SECONDS, window),
    });
    single.chain([dead_letters]).chain(slow).collect()
}

pub(super) fn alerts(thresholds: &Thresholds) -> Vec<Alert> {
    let mut alerts = of_delivery(thresholds);
    alerts.extend(of_dead_letters());
    alerts.extend(of_leadership(thresholds));
    alerts.extend(of_database(thresholds));
    alerts.push(of_consumers(thresholds));
    alerts
}

fn of_delivery(thresholds: &Thresholds) -> Vec<Alert> {
    let (backlog, held) = (of_log(&series::BACKLOG_RECORDS), of_log(&series::LEASE_HELD));
    let delivered = Query::of(&series::DELIVERED_RECORDS, &[LOG]).rate("5m");
    let burns = |short: &str, long: &str, times: f64| {
        let limit = format!("{times} * {ERROR_BUDGET}");
        format!(
            "{} > {limit} and {} > {limit}",
            slow_ratio(short),
            slow_ratio(long)
        )
    };
    vec![
        alert(
            "OutboxBacklogOld",
            format!(
                "{} > {}",
                of_log(&series::BACKLOG_OLDEST_AGE),
                thresholds.backlog_age.as_secs_f64()
            ),
            60,
            Severity::Critical,
            "The oldest message of {{ $labels.log }} has waited for {{ $value | humanizeDuration }}.",
        ),
        alert(
            "OutboxBacklogGrowing",
            format!(
                "{backlog} > {} and deriv({backlog}[10m]) > 0",
                thresholds.backlog_records
            ),
            600,
            Severity::Warning,
            "The backlog of {{ $labels.log }} grows: {{ $value | humanize }} messages.",
        ),
        alert(
            "OutboxNotDelivering",
            format!("{backlog} > 0 and {held} == 1 unless {delivered} > 0"),
            300,
            Severity::Critical,
            "A relay is active, messages of {{ $labels.log }} wait, and Kafka acknowledges none.",
        ),
        alert(
            "OutboxLatencyBudgetFast",
            burns("5m", "1h", 14.4),
            120,
            Severity::Critical,
            "At this rate, the month's budget of slow deliveries of {{ $labels.log }} is used up in two days.",
        ),
        alert(
            "OutboxLatencyBudgetSlow",
            burns("30m", "6h", 6.0),
            900,
            Severity::Warning,
            "At this rate, the month's budget of slow deliveries of {{ $labels.log }} is used up in five days.",
        ),
        alert(
            "OutboxPossibleDuplicates",
            format!(
                "{} > 0",
                Query::of(&series::POSSIBLE_DUPLICATES, &[LOG, REASON]).increase("15m")
            ),
            0,
            Severity::Warning,
            "Messages of {{ $labels.log }} may have been sent twice: {{ $labels.reason }}.",
        ),
    ]
}

fn of_dead_letters() -> Vec<Alert> {
    let dead_letters = of_log(&series::DEAD_LETTERS);
    vec![
        alert(
            "OutboxDeadLetters",
            format!("{dead_letters}{{state=\"dead\"}} > 0"),
            0,
            Severity::Warning,
            "{{ $value }} messages of {{ $labels.topic }} cannot be delivered: {{ $labels.reason }}.",
        ),
        alert(
            "OutboxTopicSuspended",
            format!("{dead_letters}{{state=\"parked\", reason=\"topic_unavailable\"}} > 0"),
            300,
            Severity::Warning,
            "{{ $labels.topic }} takes no records; {{ $value }} of {{ $labels.log }} are parked.",
        ),
    ]
}

fn of_leadership(thresholds: &Thresholds) -> Vec<Alert> {
    let epoch = of_log(&series::LEASE_EPOCH);
    vec![
        alert(
            "OutboxNoActiveRelay",
            format!("{} == 0", of_log(&series::LEASE_HELD)),
            60,
            Severity::Critical,
            "No relay delivers the messages of {{ $labels.log }}.",
        ),
        alert(
            "OutboxLeaseFlapping",
            format!("{epoch} - {epoch} offset 15m > {}", thresholds.leader_changes),
            0,
            Severity::Warning,
            "The active relay of {{ $labels.log }} changed {{ $value }} times within 15 minutes.",
        ),
        alert(
            "OutboxNotMonitored",
            format!("absent({} == 1)", series::SAMPLER_ACTIVE.name),
            300,
            Severity::Critical,
            "Nobody samples an outbox: the exporter is absent, or no process can reach the database.",
        ),
    ]
}

fn of_database(thresholds: &Thresholds) -> Vec<Alert> {
    vec![
        alert(
            "OutboxPartitionsRunningOut",
            format!("{} < 1", of_log(&series::LOG_PARTITIONS_AHEAD)),
            300,
            Severity::Critical,
            "{{ $labels.log }} has no empty partition ahead; writers fail once the last one is full.",
        ),
        alert(
            "OutboxTableGrowing",
            format!(
                "predict_linear({}[6h], 86400) > {}",
                of_log(&series::LOG_TABLE_BYTES),
                thresholds.table_bytes
            ),
            1800,
            Severity::Warning,
            "{{ $labels.log }} grows faster than it is deleted: {{ $value | humanize1024 }}B within a day.",
        ),
        alert(
            "OutboxLongTransaction",
            format!(
                "{} > {}",
                of_log(&series::OLDEST_TRANSACTION),
                thresholds.transaction_age.as_secs_f64()
            ),
            60,
            Severity::Warning,
            "A transaction beside {{ $labels.log }} has been open for {{ $value | humanizeDuration }}.",
        ),
    ]
}

fn of_consumers(thresholds: &Thresholds) -> Alert {
    let lag = Query::of(&series::CONSUMER_LAG, &[LOG, CONSUMER]).value();
    let handled = Query::of(&series::CONSUMER_MESSAGES, &[LOG, CONSUMER]).rate("10m");
    alert(
        "OutboxConsumerStuck",
        format!("{lag} > {} unless {handled} > 0", thresholds.consumer_lag),
        600,
        Severity::Critical,
        "{{ $labels.consumer }} is {{ $value }} messages behind and processes none.",
    )
}

fn alert(name: &'static str, expr: String, lasting_seconds: u64, severity: Severity, summary: &str) -> Alert {
    Alert {
        name,
        expr,
        lasting: Duration::from_secs(lasting_seconds),
        severity,
        summary: summary.to_owned(),
    }
}

/// What a series of the log is recorded as.
fn of_log(series: &Descriptor) -> String {
    format!("{}:max", series.name.replacen('_', ":", 1))
}

fn slow_ratio(window: &str) -> String {
    format!("outbox:delivery_slow:ratio_rate{window}")
}
