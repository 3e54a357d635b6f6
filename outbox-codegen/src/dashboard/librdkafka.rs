//! What librdkafka says of itself.

use outbox_runtime::metrics::Descriptor;
use outbox_runtime::metrics::series::{self as s, CLIENT, LOG};

use super::panel::{Panel, Unit};
use super::queries::{gauge, rate};

pub(super) fn panels() -> Vec<Panel> {
    let values = |title, unit, all: &[(&Descriptor, &str)]| {
        all.iter()
            .fold(Panel::lines(title, unit), |panel, (series, name)| {
                panel.query(series, gauge(series, &[LOG, CLIENT]), of_client(name))
            })
    };
    let rates = |title, unit, all: &[(&Descriptor, &str)]| {
        all.iter()
            .fold(Panel::lines(title, unit), |panel, (series, name)| {
                panel.query(series, rate(series, &[LOG, CLIENT]), of_client(name))
            })
    };
    vec![
        values(
            "Brokers",
            Unit::Number,
            &[(&s::KAFKA_BROKERS_UP, "up"), (&s::KAFKA_BROKERS_DOWN, "down")],
        ),
        values(
            "Round trip, queue and quota",
            Unit::Seconds,
            &[
                (&s::KAFKA_ROUND_TRIP_SECONDS, "round trip"),
                (&s::KAFKA_QUEUE_SECONDS, "queue"),
                (&s::KAFKA_THROTTLE_SECONDS, "quota"),
            ],
        ),
        values(
            "Queues",
            Unit::Number,
            &[
                (&s::KAFKA_QUEUE_RECORDS, "messages"),
                (&s::KAFKA_EVENTS_WAITING, "events"),
                (&s::KAFKA_REQUESTS_IN_FLIGHT, "requests"),
            ],
        ),
        values(
            "Bytes in queues",
            Unit::Bytes,
            &[(&s::KAFKA_QUEUE_BYTES, "messages")],
        ),
        rates(
            "Requests",
            Unit::PerSecond,
            &[
                (&s::KAFKA_REQUESTS, "requests"),
                (&s::KAFKA_RESPONSES, "responses"),
            ],
        ),
        rates(
            "Errors",
            Unit::PerSecond,
            &[
                (&s::KAFKA_REQUEST_ERRORS, "not sent"),
                (&s::KAFKA_REQUEST_RETRIES, "retried"),
                (&s::KAFKA_REQUEST_TIMEOUTS, "timed out"),
            ],
        ),
        rates(
            "Messages",
            Unit::PerSecond,
            &[
                (&s::KAFKA_SENT_RECORDS, "sent"),
                (&s::KAFKA_RECEIVED_RECORDS, "received"),
            ],
        ),
        rates(
            "Bytes",
            Unit::BytesPerSecond,
            &[
                (&s::KAFKA_REQUEST_BYTES, "requests"),
                (&s::KAFKA_RESPONSE_BYTES, "responses"),
                (&s::KAFKA_SENT_BYTES, "messages sent"),
                (&s::KAFKA_RECEIVED_BYTES, "messages received"),
            ],
        ),
        rates(
            "Connections",
            Unit::PerSecond,
            &[(&s::KAFKA_CONNECTS, "attempts"), (&s::KAFKA_DISCONNECTS, "ended")],
        ),
        values(
            "Messages of a batch",
            Unit::Number,
            &[(&s::KAFKA_BATCH_RECORDS, "batch")],
        ),
        values(
            "Assigned partitions",
            Unit::Number,
            &[(&s::KAFKA_ASSIGNED_PARTITIONS, "partitions")],
        ),
        rates(
            "Rebalances",
            Unit::PerSecond,
            &[(&s::KAFKA_REBALANCES, "rebalances")],
        ),
    ]
}

fn of_client(name: &str) -> String {
    format!("{name} {{{{client}}}} {{{{log}}}}")
}
