//! librdkafka's statistics: those that matter, of all clients that serve one purpose together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rdkafka::Statistics;
use rdkafka::statistics::{Broker, Partition, Window};

use super::descriptor::Descriptor;
use super::handles::{Counter, Gauge, counter, gauge};
use super::{ENABLED, describe_once, series};

type Counts = [(&'static Descriptor, fn(&Statistics) -> u64); 14];
type Amounts<const N: usize> = [(&'static Descriptor, fn(&Statistics) -> f64); N];

/// Each client counts from its own start.
const COUNTS: Counts = [
    (&series::KAFKA_REQUESTS, |it| count(it.tx)),
    (&series::KAFKA_REQUEST_BYTES, |it| count(it.tx_bytes)),
    (&series::KAFKA_RESPONSES, |it| count(it.rx)),
    (&series::KAFKA_RESPONSE_BYTES, |it| count(it.rx_bytes)),
    (&series::KAFKA_SENT_RECORDS, |it| count(it.txmsgs)),
    (&series::KAFKA_SENT_BYTES, |it| count(it.txmsg_bytes)),
    (&series::KAFKA_RECEIVED_RECORDS, |it| count(it.rxmsgs)),
    (&series::KAFKA_RECEIVED_BYTES, |it| count(it.rxmsg_bytes)),
    (&series::KAFKA_REQUEST_ERRORS, |it| {
        total(it, |broker| broker.txerrs)
    }),
    (&series::KAFKA_REQUEST_RETRIES, |it| {
        total(it, |broker| broker.txretries)
    }),
    (&series::KAFKA_REQUEST_TIMEOUTS, |it| {
        total(it, |broker| broker.req_timeouts)
    }),
    (&series::KAFKA_CONNECTS, |it| {
        total(it, |broker| count(broker.connects.unwrap_or(0)))
    }),
    (&series::KAFKA_DISCONNECTS, |it| {
        total(it, |broker| count(broker.disconnects.unwrap_or(0)))
    }),
    (&series::KAFKA_REBALANCES, |it| {
        it.cgrp.as_ref().map_or(0, |group| count(group.rebalance_cnt))
    }),
];

/// What all clients have together.
const SUMS: Amounts<7> = [
    (&series::KAFKA_QUEUE_RECORDS, |it| it.msg_cnt as f64),
    (&series::KAFKA_QUEUE_BYTES, |it| it.msg_size as f64),
    (&series::KAFKA_EVENTS_WAITING, |it| it.replyq as f64),
    (&series::KAFKA_BROKERS_UP, |it| {
        it.brokers.values().filter(|broker| is_up(broker)).count() as f64
    }),
    (&series::KAFKA_BROKERS_DOWN, |it| {
        it.brokers.values().filter(|broker| is_down(broker)).count() as f64
    }),
    (&series::KAFKA_REQUESTS_IN_FLIGHT, |it| {
        it.brokers.values().map(|broker| broker.waitresp_cnt).sum::<i64>() as f64
    }),
    (&series::KAFKA_ASSIGNED_PARTITIONS, |it| {
        it.cgrp
            .as_ref()
            .map_or(0.0, |group| f64::from(group.assignment_size))
    }),
];

/// What one of them has most of.
const MAXIMA: Amounts<4> = [
    (&series::KAFKA_ROUND_TRIP_SECONDS, |it| {
        slowest(it, |broker| broker.rtt.as_ref().map(|window| window.p99)) / MICROSECONDS
    }),
    (&series::KAFKA_QUEUE_SECONDS, |it| {
        slowest(it, |broker| broker.int_latency.as_ref().map(|window| window.p99)) / MICROSECONDS
    }),
    (&series::KAFKA_THROTTLE_SECONDS, |it| {
        slowest(it, |broker| broker.throttle.as_ref().map(|window| window.max)) / MILLISECONDS
    }),
    (&series::KAFKA_BATCH_RECORDS, |it| {
        let averages = it.topics.values().map(|topic| average(&topic.batchcnt));
        averages.fold(0.0, f64::max)
    }),
];

const MICROSECONDS: f64 = 1e6;
const MILLISECONDS: f64 = 1e3;

/// The statistics of clients that serve one purpose: the relay's producers, or the members of a group in this process.
/// Clones share them.
#[derive(Clone)]
pub(crate) struct ClientMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    log: String,
    client: String,
    /// The group, if it is a consumer's.
    consumer: Option<String>,
    handles: OnceLock<Handles>,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    next: u64,
    latest: HashMap<u64, Latest>,
    lag: HashMap<(String, i32), Gauge>,
}

/// What a client said last.
#[derive(Default)]
struct Latest {
    counts: [u64; COUNTS.len()],
    sums: [f64; SUMS.len()],
    maxima: [f64; MAXIMA.len()],
}

struct Handles {
    counts: Vec<Counter>,
    sums: Vec<Gauge>,
    maxima: Vec<Gauge>,
}

/// One client's part of the statistics, which ends with it.
pub(crate) struct ClientStatistics {
    metrics: ClientMetrics,
    number: u64,
}

impl ClientMetrics {
    /// Of the clients of the relay of this log.
    pub(crate) fn of_relay(log: &str) -> Self {
        Self::new(log, "relay", None)
    }

    /// Of the members of a consumer's group.
    pub(crate) fn of_consumer(log: &str, group: &str) -> Self {
        Self::new(log, group, Some(group))
    }

    fn new(log: &str, client: &str, consumer: Option<&str>) -> Self {
        Self {
            shared: Arc::new(Shared {
                log: log.to_owned(),
                client: client.to_owned(),
                consumer: consumer.map(str::to_owned),
                handles: OnceLock::new(),
                clients: Mutex::default(),
            }),
        }
    }

    /// Another client.
    pub(crate) fn client(&self) -> ClientStatistics {
        let mut clients = self.shared.clients();
        clients.next += 1;
        ClientStatistics {
            metrics: self.clone(),
            number: clients.next,
        }
    }
}

impl ClientStatistics {
    /// Takes note of what the client says.
    pub(crate) fn record(&self, statistics: &Statistics) {
        if !ENABLED {
            return;
        }
        let shared = &self.metrics.shared;
        let handles = shared.handles();
        let mut clients = shared.clients();
        let latest = clients.latest.entry(self.number).or_default();
        for (index, (_, read)) in COUNTS.iter().enumerate() {
            let (now, before) = (read(statistics), latest.counts[index]);
            handles.counts[index].increment(now.saturating_sub(before));
            latest.counts[index] = now;
        }
        latest.sums = SUMS.map(|(_, read)| read(statistics));
        latest.maxima = MAXIMA.map(|(_, read)| read(statistics));
        handles.publish(&clients);
        if let Some(consumer) = &shared.consumer {
            clients.record_lag(&shared.log, consumer, statistics);
        }
    }
}

impl Drop for ClientStatistics {
    fn drop(&mut self) {
        let shared = &self.metrics.shared;
        let mut clients = shared.clients();
        if clients.latest.remove(&self.number).is_some() {
            shared.handles().publish(&clients);
            clients.lag.values().for_each(|lag| lag.set(0.0));
        }
    }
}

impl Shared {
    fn clients(&self) -> std::sync::MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| {
            describe_once();
            let labels = [(series::LOG, self.log.as_str()), (series::CLIENT, &self.client)];
            Handles {
                counts: COUNTS
                    .iter()
                    .map(|(series, _)| counter(series, &labels))
                    .collect(),
                sums: SUMS.iter().map(|(series, _)| gauge(series, &labels)).collect(),
                maxima: MAXIMA.iter().map(|(series, _)| gauge(series, &labels)).collect(),
            }
        })
    }
}

impl Handles {
    fn publish(&self, clients: &Clients) {
        let latest = || clients.latest.values();
        for (index, gauge) in self.sums.iter().enumerate() {
            gauge.set(latest().map(|latest| latest.sums[index]).sum::<f64>());
        }
        for (index, gauge) in self.maxima.iter().enumerate() {
            gauge.set(latest().map(|latest| latest.maxima[index]).fold(0.0, f64::max));
        }
    }
}

impl Clients {
    /// Partitions that went to another member are reported by that one: here they are 0, so that a sum is right.
    fn record_lag(&mut self, log: &str, consumer: &str, statistics: &Statistics) {
        let mut lags = HashMap::new();
        for (topic, known) in &statistics.topics {
            let partitions = known.partitions.values();
            let lag_of =
                |partition: &Partition| Some(((topic.clone(), partition.partition), lag(partition)?));
            lags.extend(partitions.filter_map(lag_of));
        }
        for (place, gauge) in &self.lag {
            if !lags.contains_key(place) {
                gauge.set(0.0);
            }
        }
        for (place, lag) in lags {
            let known = self.lag.entry(place).or_insert_with_key(|(topic, partition)| {
                let labels = [
                    (series::LOG, log),
                    (series::CONSUMER, consumer),
                    (series::TOPIC, topic),
                    (series::PARTITION, &partition.to_string()),
                ];
                gauge(&series::CONSUMER_LAG, &labels)
            });
            known.set(lag);
        }
    }
}

/// How far the group is behind the end of a partition that this member reads.
fn lag(partition: &Partition) -> Option<f64> {
    if partition.partition < 0 || !matches!(partition.fetch_state.as_str(), "active" | "stopping") {
        return None;
    }
    // Up to where a consumer of committed records can read; others see the same end, or soon will.
    let end = match partition.ls_offset {
        stable @ 0.. => stable,
        _ => partition.hi_offset,
    };
    let done = match partition.committed_offset {
        committed @ 0.. => committed,
        _ => partition.lo_offset.max(0),
    };
    (end >= 0).then(|| end.saturating_sub(done).max(0) as f64)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn total(statistics: &Statistics, of: fn(&Broker) -> u64) -> u64 {
    statistics.brokers.values().map(of).sum()
}

fn slowest(statistics: &Statistics, of: fn(&Broker) -> Option<i64>) -> f64 {
    let longest = statistics.brokers.values().filter_map(of).max();
    longest.unwrap_or(0).max(0) as f64
}

fn average(window: &Window) -> f64 {
    window.avg.max(0) as f64
}

fn is_up(broker: &Broker) -> bool {
    broker.nodeid >= 0 && broker.state == "UP"
}

/// Brokers that nothing was ever asked of are not connected either.
fn is_down(broker: &Broker) -> bool {
    broker.nodeid >= 0 && broker.state != "UP" && broker.connects.unwrap_or(0) > 0
}
