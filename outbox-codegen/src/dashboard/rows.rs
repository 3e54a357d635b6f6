//! What the dashboard shows, row by row.

use outbox_runtime::metrics::Descriptor;
use outbox_runtime::metrics::series::{
    self, CONSUMER, EVENT_TYPE, LOG, OUTCOME, REASON, STATE, TOPIC, VERSION,
};

use super::librdkafka;
use super::panel::{Panel, Unit};
use super::queries::{OF_LOG, OF_TOPIC, SHOWN, WINDOW, gauge, legend, rate, sizes};
use crate::alerts::Thresholds;
use crate::promql::Query;

/// Panels below a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

pub(super) fn rows(thresholds: &Thresholds) -> Vec<Row> {
    let row = |title, panels| Row { title, panels };
    let mut overview = current(thresholds);
    overview.extend(over_time());
    vec![
        row("Overview", overview),
        row("By topic", topics()),
        row("Relay", relay()),
        row("Writing", writing()),
        row("Consumers", consumers()),
        row("PostgreSQL", database(thresholds)),
        row("librdkafka", librdkafka::panels()),
    ]
}

/// The values of now.
fn current(thresholds: &Thresholds) -> Vec<Panel> {
    let of_log =
        |panel: Panel, series: &Descriptor| panel.query(series, gauge(series, &[LOG]), legend(&[LOG]));
    let dead_letters = |title, state| {
        let series = &series::DEAD_LETTERS;
        let filter = format!("{OF_LOG}, state=\"{state}\"");
        let expr = Query::of(series, &[LOG, TOPIC, STATE, REASON])
            .filter(&filter)
            .value();
        let all = format!(
            "sum by (log) ({expr}) or 0 * {}",
            gauge(&series::SAMPLER_ACTIVE, &[LOG])
        );
        Panel::stat(title, Unit::Number)
            .red_above(0.0)
            .query(series, all, legend(&[LOG]))
    };
    let duplicates = &series::POSSIBLE_DUPLICATES;
    let twice = Query::of(duplicates, &[LOG]).filter(OF_LOG).increase(SHOWN);
    let build = &series::BUILD_INFO;
    vec![
        of_log(
            Panel::stat("Relay active", Unit::YesNo).red_below(1.0),
            &series::LEASE_HELD,
        ),
        of_log(
            Panel::stat("Relays", Unit::Number).red_below(1.0),
            &series::RELAY_UP,
        ),
        of_log(
            Panel::stat("Oldest message", Unit::Seconds).red_above(thresholds.backlog_age.as_secs_f64()),
            &series::BACKLOG_OLDEST_AGE,
        ),
        dead_letters("Dead letters", "dead"),
        dead_letters("Parked", "parked"),
        of_log(
            Panel::stat("Suspended topics", Unit::Number).red_above(0.0),
            &series::SUSPENDED_TOPICS,
        ),
        Panel::stat("Possible duplicates", Unit::Number)
            .red_above(0.0)
            .query(duplicates, twice, legend(&[LOG])),
        Panel::stat("Versions", Unit::Number).query(
            build,
            Query::of(build, &[VERSION]).value(),
            legend(&[VERSION]),
        ),
    ]
}

fn over_time() -> Vec<Panel> {
    let by_log = |series: &Descriptor, unit, title| {
        Panel::lines(title, unit).query(series, gauge(series, &[LOG]), legend(&[LOG]))
    };
    let (written, delivered) = (&series::WRITTEN_EVENTS, &series::DELIVERED_RECORDS);
    let seconds = &series::DELIVERY_SECONDS;
    let latency = Query::of(seconds, &[LOG]).filter(OF_LOG);
    let slow = latency.share_above(crate::alerts::OBJECTIVE_SECONDS, WINDOW);
    vec![
        by_log(&series::BACKLOG_RECORDS, Unit::Number, "Backlog"),
        by_log(
            &series::BACKLOG_OLDEST_AGE,
            Unit::Seconds,
            "Age of the oldest message",
        ),
        Panel::lines("Messages a second", Unit::PerSecond)
            .query(delivered, rate(delivered, &[LOG]), "delivered {{log}}")
            .query(written, rate(written, &[LOG]), "written {{log}}"),
        Panel::lines("Time to delivery", Unit::Seconds)
            .query(seconds, latency.quantile(0.5, WINDOW), "p50 {{log}}")
            .query(seconds, latency.quantile(0.99, WINDOW), "p99 {{log}}"),
        Panel::lines("Deliveries over 100 ms", Unit::Share).query(seconds, slow, legend(&[LOG])),
        Panel::lines("Samplers and suspended topics", Unit::Number)
            .query(
                &series::SAMPLER_ACTIVE,
                gauge(&series::SAMPLER_ACTIVE, &[LOG]),
                "samplers {{log}}",
            )
            .query(
                &series::SUSPENDED_TOPICS,
                gauge(&series::SUSPENDED_TOPICS, &[LOG]),
                "suspended {{log}}",
            ),
    ]
}

fn topics() -> Vec<Panel> {
    let grown = |title, unit, series: &Descriptor, by: &[&str]| {
        let expr = Query::of(series, by).filter(OF_TOPIC).rate(WINDOW);
        Panel::lines(title, unit).query(series, expr, legend(&by[1..]))
    };
    let (by_topic, by_reason) = ([LOG, TOPIC], [LOG, TOPIC, REASON]);
    let seconds = &series::DELIVERY_SECONDS;
    let slowest = Query::of(seconds, &by_topic)
        .filter(OF_TOPIC)
        .quantile(0.99, WINDOW);
    let dead_letters = &series::DEAD_LETTERS;
    let left = Query::of(dead_letters, &[LOG, TOPIC, STATE, REASON])
        .filter(OF_TOPIC)
        .value();
    vec![
        grown(
            "Delivered",
            Unit::PerSecond,
            &series::DELIVERED_RECORDS,
            &by_topic,
        ),
        grown(
            "Delivered bytes",
            Unit::BytesPerSecond,
            &series::DELIVERED_BYTES,
            &by_topic,
        ),
        Panel::lines("Time to delivery, p99", Unit::Seconds).query(seconds, slowest, legend(&[TOPIC])),
        grown(
            "Dead-lettered",
            Unit::PerSecond,
            &series::DEAD_LETTERED_RECORDS,
            &by_reason,
        ),
        grown("Parked", Unit::PerSecond, &series::PARKED_RECORDS, &by_reason),
        grown(
            "Redelivered",
            Unit::PerSecond,
            &series::REDELIVERED_RECORDS,
            &by_topic,
        ),
        Panel::table("Dead letters", Unit::Number).query(dead_letters, format!("{left} > 0"), ""),
        grown("Written", Unit::PerSecond, &series::WRITTEN_EVENTS, &by_topic),
    ]
}

fn relay() -> Vec<Panel> {
    let by_reason = |title, series: &Descriptor| {
        Panel::lines(title, Unit::PerSecond).query(series, rate(series, &[LOG, REASON]), "{{reason}}")
    };
    let (in_flight, bytes) = (&series::IN_FLIGHT_RECORDS, &series::IN_FLIGHT_BYTES);
    let leadership = [
        (&series::LEADER_TERMS, "terms"),
        (&series::LEASES_LOST, "leases lost"),
        (&series::LATE_RENEWALS, "late renewals"),
    ];
    let leadership = leadership.into_iter().fold(
        Panel::lines("Changes of the leader", Unit::Number),
        |panel, (series, name)| {
            let grown = Query::of(series, &[LOG]).filter(OF_LOG).increase(WINDOW);
            panel.query(series, grown, format!("{name} {{{{log}}}}"))
        },
    );
    let active = &series::RELAY_ACTIVE;
    let epoch = &series::LEASE_EPOCH;
    vec![
        Panel::lines("In flight", Unit::Number).query(in_flight, gauge(in_flight, &[LOG]), legend(&[LOG])),
        Panel::lines("Bytes in flight", Unit::Bytes).query(bytes, gauge(bytes, &[LOG]), legend(&[LOG])),
        by_reason("Errors of the producer", &series::PUBLISH_ERRORS),
        by_reason("Retries", &series::RELAY_RETRIES),
        by_reason("Records that may come twice", &series::POSSIBLE_DUPLICATES),
        leadership,
        Panel::lines("Active relays", Unit::Number).query(active, gauge(active, &[LOG]), legend(&[LOG])),
        Panel::lines("Epoch of the lease", Unit::Number).query(epoch, gauge(epoch, &[LOG]), legend(&[LOG])),
        sizes(
            "Records of pages, windows and transactions",
            Unit::Number,
            &[
                (&series::PAGE_RECORDS, "page"),
                (&series::WINDOW_RECORDS, "window"),
                (&series::TRANSACTION_RECORDS, "transaction"),
            ],
        ),
        sizes("Bytes of pages", Unit::Bytes, &[(&series::PAGE_BYTES, "page")]),
    ]
}

fn writing() -> Vec<Panel> {
    let (transactions, retries) = (&series::TRANSACTIONS, &series::TRANSACTION_RETRIES);
    let (insert, written) = (&series::INSERT_SECONDS, &series::WRITTEN_EVENTS);
    let direct = &series::DIRECT_EVENTS;
    let inserts = Query::of(insert, &[LOG]).filter(OF_LOG);
    vec![
        Panel::lines("Transactions", Unit::PerSecond)
            .query(
                transactions,
                rate(transactions, &[LOG, OUTCOME]),
                "{{outcome}} {{log}}",
            )
            .query(retries, rate(retries, &[LOG]), "retried {{log}}"),
        Panel::lines("Time of the INSERT", Unit::Seconds)
            .query(insert, inserts.quantile(0.5, WINDOW), "p50 {{log}}")
            .query(insert, inserts.quantile(0.99, WINDOW), "p99 {{log}}"),
        Panel::lines("Events by type", Unit::PerSecond).query(
            written,
            rate(written, &[LOG, EVENT_TYPE]),
            "{{event_type}}",
        ),
        sizes(
            "Events of a transaction",
            Unit::Number,
            &[(&series::TRANSACTION_EVENTS, "events")],
        ),
        sizes(
            "Bytes of a transaction",
            Unit::Bytes,
            &[(&series::TRANSACTION_BYTES, "bytes")],
        ),
        Panel::lines("Events sent directly", Unit::PerSecond).query(
            direct,
            rate(direct, &[LOG, OUTCOME]),
            "{{outcome}} {{log}}",
        ),
    ]
}

fn consumers() -> Vec<Panel> {
    let (messages, retries) = (&series::CONSUMER_MESSAGES, &series::CONSUMER_RETRIES);
    let (handler, lag, inbox) = (
        &series::HANDLER_SECONDS,
        &series::CONSUMER_LAG,
        &series::INBOX_MESSAGES,
    );
    let slowest = Query::of(handler, &[CONSUMER, EVENT_TYPE])
        .filter(OF_LOG)
        .quantile(0.99, WINDOW);
    vec![
        Panel::lines("Messages", Unit::PerSecond).query(
            messages,
            rate(messages, &[CONSUMER, OUTCOME]),
            legend(&[CONSUMER, OUTCOME]),
        ),
        Panel::lines("Messages by topic and type", Unit::PerSecond).query(
            messages,
            rate(messages, &[CONSUMER, TOPIC, EVENT_TYPE]),
            legend(&[CONSUMER, TOPIC, EVENT_TYPE]),
        ),
        Panel::lines("Lag", Unit::Number).query(
            lag,
            gauge(lag, &[CONSUMER, TOPIC]),
            legend(&[CONSUMER, TOPIC]),
        ),
        Panel::lines("Time in the handler, p99", Unit::Seconds).query(
            handler,
            slowest,
            legend(&[CONSUMER, EVENT_TYPE]),
        ),
        Panel::lines("Retries", Unit::PerSecond).query(
            retries,
            rate(retries, &[CONSUMER, REASON]),
            legend(&[CONSUMER, REASON]),
        ),
        Panel::lines("Inbox", Unit::PerSecond).query(
            inbox,
            rate(inbox, &[CONSUMER, OUTCOME]),
            legend(&[CONSUMER, OUTCOME]),
        ),
    ]
}

fn database(thresholds: &Thresholds) -> Vec<Panel> {
    let lines = |title, unit, series: &Descriptor| {
        Panel::lines(title, unit).query(series, gauge(series, &[LOG]), legend(&[LOG]))
    };
    let (seconds, samples) = (&series::SAMPLE_SECONDS, &series::SAMPLES);
    let slowest = Query::of(seconds, &[LOG]).filter(OF_LOG).quantile(0.99, WINDOW);
    let oldest = thresholds.transaction_age.as_secs_f64();
    vec![
        lines(
            "Oldest open transaction",
            Unit::Seconds,
            &series::OLDEST_TRANSACTION,
        )
        .red_above(oldest),
        lines("Size of the messages", Unit::Bytes, &series::LOG_TABLE_BYTES),
        lines("Dead tuples", Unit::Number, &series::LOG_DEAD_TUPLES),
        lines(
            "Empty partitions ahead",
            Unit::Number,
            &series::LOG_PARTITIONS_AHEAD,
        ),
        Panel::lines("Time of a sample, p99", Unit::Seconds).query(seconds, slowest, legend(&[LOG])),
        Panel::lines("Samples", Unit::PerSecond).query(
            samples,
            rate(samples, &[LOG, OUTCOME]),
            legend(&[LOG, OUTCOME]),
        ),
    ]
}
