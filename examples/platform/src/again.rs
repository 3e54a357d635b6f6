//! Everything comes again: each record is sent two more times, as a broker or a relay may do.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use outbox_runtime::InboxMessage;
use outbox_runtime::store::Store as _;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use service_kit::Store;

use crate::services::Platform;

/// How often topics are read.
const PACE: Duration = Duration::from_millis(300);

/// How many more times each record is sent.
const COPIES: usize = 2;

/// Repeats the records of a platform.
pub(crate) struct Again {
    producer: FutureProducer,
    sources: BTreeSet<String>,
    repeated: HashSet<String>,
}

impl Again {
    pub(crate) fn new(platform: &Platform) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", platform.broker.brokers())
            .create()
            .context("cannot send to the brokers")?;
        let sources = platform.services.iter();
        Ok(Self {
            producer,
            sources: sources
                .map(|service| Store::new(&service.pool).default_source())
                .collect(),
            repeated: HashSet::new(),
        })
    }

    /// Repeats what comes, until `done`.
    pub(crate) async fn run(&mut self, platform: &Platform, done: &AtomicBool) -> Result<()> {
        let mut ticks = tokio::time::interval(PACE);
        while !done.load(Ordering::Relaxed) {
            ticks.tick().await;
            self.repeat_new(platform).await?;
        }
        Ok(())
    }

    /// Repeats what has come since the last time, and says how many records that were.
    pub(crate) async fn repeat_new(&mut self, platform: &Platform) -> Result<usize> {
        let topics: Vec<String> = topics();
        let mut count = 0;
        for record in platform.broker.records(&topics).await {
            let own = record
                .header("ce_source")
                .is_some_and(|source| self.sources.contains(source));
            let id = record.header("ce_id").unwrap_or_default().to_owned();
            if own && self.repeated.insert(id) {
                count += 1;
                for _ in 0..COPIES {
                    self.send(&record).await?;
                }
            }
        }
        Ok(count)
    }

    async fn send(&self, record: &InboxMessage) -> Result<()> {
        let headers = record
            .headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: value.as_deref(),
                })
            });
        let mut copy = FutureRecord::<[u8], [u8]>::to(record.topic())
            .partition(record.partition())
            .headers(headers);
        copy.key = record.key();
        copy.payload = record.value();
        copy.timestamp = record.timestamp_ms();
        let sent = self.producer.send(copy, Duration::from_secs(30)).await;
        sent.map_err(|(error, _)| error)
            .context("cannot repeat a record")?;
        Ok(())
    }
}

/// The topics of all events that the services declare.
fn topics() -> Vec<String> {
    let events = outbox_runtime::catalog::Catalog::global().iter();
    let topics: BTreeSet<&str> = events.map(|event| event.topic()).collect();
    topics.into_iter().map(str::to_owned).collect()
}
