//! Every series: its name, kind, unit, labels and meaning. Documentation, exporters, dashboards and alerts take them
//! from here, and from nowhere else.

use super::descriptor::{Descriptor, Group, Kind, Scope, Unit};

/// The log: the database's name and the table's, such as `shop/outbox_messages`.
pub const LOG: &str = "log";
/// The Kafka topic, or `other`.
pub const TOPIC: &str = "topic";
/// The event's type, or `other`.
pub const EVENT_TYPE: &str = "event_type";
/// The outcome.
pub const OUTCOME: &str = "outcome";
/// The reason.
pub const REASON: &str = "reason";
/// `dead` or `parked`.
pub const STATE: &str = "state";
/// The consumer's name in the inbox, which is its group at Kafka.
pub const CONSUMER: &str = "consumer";
/// The number of a partition.
pub const PARTITION: &str = "partition";
/// The owner of a librdkafka client: `relay`, or the group of a consumer.
pub const CLIENT: &str = "client";
/// The version of the library.
pub const VERSION: &str = "version";

/// The value for all topics, types and consumers beyond the limit.
pub const OTHER: &str = "other";

/// From a local broker to an outage of an hour.
const LATENCY: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];
/// What a database or a handler takes.
const WORK: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
const RECORDS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1e3, 5e3, 1e4, 5e4, 1e5, 1e6,
];
const BYTES: &[f64] = &[
    256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
];

/// Declares the series of a group, and the list of them all.
macro_rules! series {
    ($($group:ident { $($constant:ident = $name:literal, $kind:ident, $unit:ident, $scope:ident,
        [$($label:ident),*], $buckets:expr, $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub const $constant: Descriptor = Descriptor {
                name: $name,
                kind: Kind::$kind,
                unit: Unit::$unit,
                scope: Scope::$scope,
                group: Group::$group,
                labels: &[$($label),*],
                buckets: $buckets,
                help: $help,
            };
        )*)*

        /// All metrics, in the order of the documentation.
        pub const ALL: &[Descriptor] = &[$($($constant),*),*];
    };
}

series! {
Program {
    BUILD_INFO = "outbox_build_info", Gauge, Count, Process, [VERSION], &[],
        "Always 1, with the library's version.";
    RELAY_UP = "outbox_relay_up", Gauge, Count, Process, [LOG], &[],
        "1 while a relay runs in this process, active or on standby; 0 when it has ended.";
}

Delivery {
    DELIVERED_RECORDS = "outbox_delivered_records_total", Counter, Count, Process, [LOG, TOPIC], &[],
        "Records that the broker acknowledged; exactly once, records of committed transactions.";
    DELIVERED_BYTES = "outbox_delivered_bytes_total", Counter, Bytes, Process, [LOG, TOPIC], &[],
        "Payload, key and headers of delivered records, uncompressed.";
    DELIVERY_SECONDS = "outbox_delivery_seconds", Histogram, Seconds, Process, [LOG, TOPIC], LATENCY,
        "Time from the event to its acknowledgement: from `occurred_at`, or from the time in a UUIDv7 id if that is later.";
    REDELIVERED_RECORDS = "outbox_redelivered_records_total", Counter, Count, Process, [LOG, TOPIC], &[],
        "Delivered records that came out of the dead letters: parked before, or replayed.";
    DEAD_LETTERED_RECORDS = "outbox_dead_lettered_records_total", Counter, Count, Process, [LOG, TOPIC, REASON], &[],
        "Records that became dead letters, which no retry can deliver.";
    PARKED_RECORDS = "outbox_parked_records_total", Counter, Count, Process, [LOG, TOPIC, REASON], &[],
        "Records that were parked until their topic or key accepts records.";
    POSSIBLE_DUPLICATES = "outbox_possible_duplicates_total", Counter, Count, Process, [LOG, REASON], &[],
        "Records that may have been sent and are sent again: `stop_deadline`, `lost_lease`, `producer_rebuilt`, `database_went_back` or `rewound`.";
    PUBLISH_ERRORS = "outbox_publish_errors_total", Counter, Count, Process, [LOG, REASON], &[],
        "Records that the producer gave back, and failures of the producer itself, by the error's kind.";
    RELAY_RETRIES = "outbox_relay_retries_total", Counter, Count, Process, [LOG, REASON], &[],
        "Times that the relay began again at its cursor after a failure of the `database`, the `broker` or a `topic`.";
    IN_FLIGHT_RECORDS = "outbox_in_flight_records", Gauge, Count, Process, [LOG], &[],
        "Records that the producer has and the broker has not acknowledged.";
    IN_FLIGHT_BYTES = "outbox_in_flight_bytes", Gauge, Bytes, Process, [LOG], &[],
        "Payload, key and headers of records in flight at least once; exactly once 0.";
    PAGE_RECORDS = "outbox_page_records", Histogram, Count, Process, [LOG], RECORDS,
        "Records of a page, which one query reads.";
    PAGE_BYTES = "outbox_page_bytes", Histogram, Bytes, Process, [LOG], BYTES,
        "Texts and payloads of a page.";
    WINDOW_RECORDS = "outbox_window_records", Histogram, Count, Process, [LOG], RECORDS,
        "Records of a window: what became visible between two looks at the log.";
    TRANSACTION_RECORDS = "outbox_kafka_transaction_records", Histogram, Count, Process, [LOG], RECORDS,
        "Records of a committed transaction of Kafka, in exactly-once delivery.";
    SUSPENDED_TOPICS = "outbox_suspended_topics", Gauge, Count, Process, [LOG], &[],
        "Topics that take no records while others do; their records are parked.";
    RELAY_ACTIVE = "outbox_relay_active", Gauge, Count, Process, [LOG], &[],
        "1 while the relay of this process holds the lease, else 0. Over all processes the sum is 1.";
    LEADER_TERMS = "outbox_leader_terms_total", Counter, Count, Process, [LOG], &[],
        "Times that the relay of this process became the active one.";
    LEASES_LOST = "outbox_leases_lost_total", Counter, Count, Process, [LOG], &[],
        "Times that the relay of this process lost the lease while it was active.";
    LATE_RENEWALS = "outbox_lease_late_renewals_total", Counter, Count, Process, [LOG], &[],
        "Renewals of the lease that failed, or were given up after half of its duration.";
}

Log {
    BACKLOG_RECORDS = "outbox_backlog_records", Gauge, Count, Log, [LOG], &[],
        "Committed messages that are not settled. Counted up to 100,000, then estimated.";
    BACKLOG_OLDEST_AGE = "outbox_backlog_oldest_age_seconds", Gauge, Seconds, Log, [LOG], &[],
        "Age of the oldest of them by `occurred_at`; 0 if there is none.";
    DEAD_LETTERS = "outbox_dead_letters", Gauge, Count, Log, [LOG, TOPIC, STATE, REASON], &[],
        "Dead letters that are there now, `dead` or `parked`.";
    LEASE_HELD = "outbox_lease_held", Gauge, Count, Log, [LOG], &[],
        "1 if some relay renewed the lease within its duration, else 0: no relay is active.";
    LEASE_EPOCH = "outbox_lease_epoch", Gauge, Count, Log, [LOG], &[],
        "The lease's epoch: grows by 1 with each relay that becomes active.";
    LOG_TABLE_BYTES = "outbox_log_table_bytes", Gauge, Bytes, Log, [LOG], &[],
        "Size of the messages' table with its partitions, indexes and large values. In SQLite: of the database file.";
    LOG_DEAD_TUPLES = "outbox_log_dead_tuples", Gauge, Count, Log, [LOG], &[],
        "Deleted rows of the messages' table and its partitions that VACUUM has not removed. PostgreSQL only.";
    LOG_PARTITIONS_AHEAD = "outbox_log_partitions_ahead", Gauge, Count, Log, [LOG], &[],
        "Partitions that are still empty, ahead of the newest message. Only for partitioned tables.";
    OLDEST_TRANSACTION = "outbox_oldest_transaction_seconds", Gauge, Seconds, Log, [LOG], &[],
        "Age of the oldest open transaction of the database that has written something; 0 if there is none. PostgreSQL only.";
    SAMPLER_ACTIVE = "outbox_sampler_active", Gauge, Count, Process, [LOG], &[],
        "1 if this process samples the log, else 0.";
    SAMPLE_SECONDS = "outbox_sample_seconds", Histogram, Seconds, Process, [LOG], WORK,
        "Time that a sample of the log took.";
    SAMPLES = "outbox_samples_total", Counter, Count, Process, [LOG, OUTCOME], &[],
        "Samples of the log: `ok` or `failed`.";
}

Writing {
    TRANSACTIONS = "outbox_transactions_total", Counter, Count, Process, [LOG, OUTCOME], &[],
        "Transactions that the library began: `committed`, `rolled_back`, or `unknown` if COMMIT was not answered.";
    TRANSACTION_RETRIES = "outbox_transaction_retries_total", Counter, Count, Process, [LOG], &[],
        "Transactions that were tried again because of concurrent ones.";
    TRANSACTION_EVENTS = "outbox_transaction_events", Histogram, Count, Process, [LOG], RECORDS,
        "Events of a transaction that wrote some, or of a call of `enqueue`.";
    TRANSACTION_BYTES = "outbox_transaction_bytes", Histogram, Bytes, Process, [LOG], BYTES,
        "Payload bytes of these events.";
    INSERT_SECONDS = "outbox_insert_seconds", Histogram, Seconds, Process, [LOG], WORK,
        "Time of the INSERT of a transaction's events.";
    WRITTEN_EVENTS = "outbox_written_events_total", Counter, Count, Process, [LOG, TOPIC, EVENT_TYPE], &[],
        "Events of committed transactions. Those of `enqueue` count with their INSERT, because the caller commits.";
    DIRECT_EVENTS = "outbox_direct_events_total", Counter, Count, Process, [LOG, TOPIC, OUTCOME], &[],
        "Events of mode `direct` after their commit: `delivered` or `lost`. Those of a process that dies before are not counted.";
}

Consumer {
    CONSUMER_MESSAGES = "outbox_consumer_messages_total", Counter, Count, Process, [LOG, CONSUMER, TOPIC, EVENT_TYPE, OUTCOME], &[],
        "Messages that need no more handling: `processed`, `duplicate`, `unknown` (no handler for the type) or `dead_lettered`.";
    CONSUMER_RETRIES = "outbox_consumer_retries_total", Counter, Count, Process, [LOG, CONSUMER, REASON], &[],
        "Attempts that failed and are repeated: `failure` of the handler, or `outage`.";
    HANDLER_SECONDS = "outbox_consumer_handler_seconds", Histogram, Seconds, Process, [LOG, CONSUMER, EVENT_TYPE], WORK,
        "Time in the handler, without the transaction's begin and commit.";
    CONSUMER_LAG = "outbox_consumer_lag_records", Gauge, Count, Process, [LOG, CONSUMER, TOPIC, PARTITION], &[],
        "Offsets between the committed one and the end of a partition, reported by the member that has it.";
    INBOX_MESSAGES = "outbox_inbox_messages_total", Counter, Count, Process, [LOG, CONSUMER, OUTCOME], &[],
        "Messages that transactions wrote into the inbox (`new`), or found there (`duplicate`).";
}

Kafka {
    KAFKA_QUEUE_RECORDS = "outbox_kafka_queue_records", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Messages in the producers' queues and on their way (`msg_cnt`).";
    KAFKA_QUEUE_BYTES = "outbox_kafka_queue_bytes", Gauge, Bytes, Process, [LOG, CLIENT], &[],
        "Size of these messages (`msg_size`).";
    KAFKA_EVENTS_WAITING = "outbox_kafka_events_waiting", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Events that wait for the application: delivery reports, for instance (`replyq`).";
    KAFKA_REQUESTS = "outbox_kafka_requests_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Requests to brokers (`tx`).";
    KAFKA_REQUEST_BYTES = "outbox_kafka_request_bytes_total", Counter, Bytes, Process, [LOG, CLIENT], &[],
        "Bytes to brokers (`tx_bytes`).";
    KAFKA_RESPONSES = "outbox_kafka_responses_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Responses of brokers (`rx`).";
    KAFKA_RESPONSE_BYTES = "outbox_kafka_response_bytes_total", Counter, Bytes, Process, [LOG, CLIENT], &[],
        "Bytes from brokers (`rx_bytes`).";
    KAFKA_SENT_RECORDS = "outbox_kafka_sent_records_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Messages that were sent (`txmsgs`).";
    KAFKA_SENT_BYTES = "outbox_kafka_sent_bytes_total", Counter, Bytes, Process, [LOG, CLIENT], &[],
        "Bytes of messages that were sent (`txmsg_bytes`).";
    KAFKA_RECEIVED_RECORDS = "outbox_kafka_received_records_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Messages that were received (`rxmsgs`).";
    KAFKA_RECEIVED_BYTES = "outbox_kafka_received_bytes_total", Counter, Bytes, Process, [LOG, CLIENT], &[],
        "Bytes of messages that were received (`rxmsg_bytes`).";
    KAFKA_REQUEST_ERRORS = "outbox_kafka_request_errors_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Requests that could not be sent (`txerrs`).";
    KAFKA_REQUEST_RETRIES = "outbox_kafka_request_retries_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Requests that were sent again (`txretries`).";
    KAFKA_REQUEST_TIMEOUTS = "outbox_kafka_request_timeouts_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Requests that were not answered in time (`req_timeouts`).";
    KAFKA_CONNECTS = "outbox_kafka_connects_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Attempts to connect (`connects`).";
    KAFKA_DISCONNECTS = "outbox_kafka_disconnects_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Connections that ended (`disconnects`).";
    KAFKA_BROKERS_UP = "outbox_kafka_brokers_up", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Connections to brokers in the state `UP`.";
    KAFKA_BROKERS_DOWN = "outbox_kafka_brokers_down", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Connections to brokers that were up before, or are being tried, in another state.";
    KAFKA_REQUESTS_IN_FLIGHT = "outbox_kafka_requests_in_flight", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Requests that wait for their response (`waitresp_cnt`).";
    KAFKA_ROUND_TRIP_SECONDS = "outbox_kafka_round_trip_p99_seconds", Gauge, Seconds, Slowest, [LOG, CLIENT], &[],
        "Round trip to the slowest broker, 99th percentile (`rtt`).";
    KAFKA_QUEUE_SECONDS = "outbox_kafka_queue_p99_seconds", Gauge, Seconds, Slowest, [LOG, CLIENT], &[],
        "Time of messages in the producer's queue, 99th percentile of the slowest broker (`int_latency`).";
    KAFKA_THROTTLE_SECONDS = "outbox_kafka_throttle_seconds", Gauge, Seconds, Slowest, [LOG, CLIENT], &[],
        "The longest time for which a broker's quota held requests back (`throttle`).";
    KAFKA_BATCH_RECORDS = "outbox_kafka_batch_records", Gauge, Count, Slowest, [LOG, CLIENT], &[],
        "Messages of a batch, average of the topic with the largest (`batchcnt`).";
    KAFKA_REBALANCES = "outbox_kafka_rebalances_total", Counter, Count, Process, [LOG, CLIENT], &[],
        "Rebalances of the consumer's group (`rebalance_cnt`).";
    KAFKA_ASSIGNED_PARTITIONS = "outbox_kafka_assigned_partitions", Gauge, Count, Process, [LOG, CLIENT], &[],
        "Partitions that this member of the group has (`assignment_size`).";
}
}
