//! What has happened: every event with its record, its receivers and its row.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use outbox_runtime::store::Store as _;
use outbox_runtime::testkit::TestOutbox;
use outbox_runtime::testkit::checker::Written;
use outbox_runtime::{InboxMessage, OutboxMessage, Payload};
use serde_json::Value;
use service_kit::Store;
use uuid::Uuid;

use crate::arguments::Name;
use crate::rows::Rows;
use crate::services::Platform;

/// All events of a run.
pub(crate) struct Story {
    /// By time.
    pub(crate) events: Vec<Event>,
    /// Every record of these services.
    pub(crate) records: Vec<InboxMessage>,
}

/// An event.
pub(crate) struct Event {
    pub(crate) service: Name,
    pub(crate) message: OutboxMessage,
    pub(crate) payload: Value,
    /// When, as far as it is known.
    pub(crate) written: Written,
    /// Its place among all events of the service.
    place: usize,
    /// Who has processed it, and when.
    pub(crate) received: Vec<(Name, DateTime<Utc>)>,
    /// Where its records are: partition and offset.
    pub(crate) records: Vec<(i32, i64)>,
    /// The row that changed with it, as it is now.
    pub(crate) row: Option<String>,
}

impl Event {
    pub(crate) fn kind(&self) -> &str {
        self.message.event_type()
    }

    pub(crate) fn at(&self) -> DateTime<Utc> {
        self.message.occurred_at()
    }

    /// A field of the payload as text.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.payload.get(name)?.as_str()
    }

    /// A header that goes with its record.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.message.headers().iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Who has to process an event of a type.
pub(crate) fn receivers(event_type: &str) -> &'static [Name] {
    use Name::*;
    match event_type {
        "BatchEssaysRegistered" => &[EssayLifecycle, ResultAggregator],
        "EssayContentProvisionedV1" | "EssayValidationFailedV1" | "BatchSpellcheckInitiateCommandV1" => {
            &[EssayLifecycle]
        }
        "BatchEssaysReadyV1" | "CJAssessmentFailedV1" => &[BatchOrchestrator],
        "SpellcheckCompletedV1" | "CJAssessmentCompletedV1" => &[BatchOrchestrator, ResultAggregator],
        "EssaySpellcheckRequestedV1" => &[Spellcheck],
        "BatchCjAssessmentInitiateCommandV1" => &[CjAssessment],
        "BatchPhaseCompletedV1" | "BatchPipelineErrorV1" => &[ResultAggregator],
        _ => &[],
    }
}

impl Story {
    /// Reads it from all databases and topics.
    pub(crate) async fn read(platform: &Platform) -> Result<Self> {
        let rows = Rows::read(platform).await?;
        let mut events = Vec::new();
        let mut sources = BTreeSet::new();
        for service in &platform.services {
            sources.insert(Store::new(&service.pool).default_source());
            let messages = TestOutbox::on(&service.pool).await.messages().await;
            // More may have been written since.
            let written = written(&service.pool).await?;
            for (place, (message, written)) in messages.into_iter().zip(written).enumerate() {
                let payload = value(&message)?;
                events.push(Event {
                    service: service.name,
                    row: rows.of(message.event_type(), &payload),
                    written,
                    place,
                    payload,
                    message,
                    received: Vec::new(),
                    records: Vec::new(),
                });
            }
        }
        events.sort_by_key(|event| (event.at(), event.service, event.place));
        let topics: BTreeSet<String> = events
            .iter()
            .map(|event| event.message.topic().to_owned())
            .collect();
        let mut records = platform
            .broker
            .records(&topics.into_iter().collect::<Vec<_>>())
            .await;
        // Other runs may have used the same topics.
        records.retain(|record| {
            record
                .header("ce_source")
                .is_some_and(|source| sources.contains(source))
        });
        let mut story = Self { events, records };
        story.join(platform).await?;
        Ok(story)
    }

    /// Adds to each event what became of it.
    async fn join(&mut self, platform: &Platform) -> Result<()> {
        let index: HashMap<Uuid, usize> = (0..)
            .zip(&self.events)
            .map(|(place, event)| (event.message.id(), place))
            .collect();
        let find = |id: Option<&str>| index.get(&Uuid::parse_str(id?).ok()?).copied();
        for record in &self.records {
            if let Some(place) = find(record.header("ce_id")) {
                let at = (record.partition(), record.offset());
                self.events[place].records.push(at);
            }
        }
        let sql = "SELECT message_id, CAST(processed_at AS TEXT) FROM outbox_inbox";
        for service in &platform.services {
            let received: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&service.pool).await?;
            for (id, at) in received {
                if let Some(place) = find(Some(&id)) {
                    self.events[place].received.push((service.name, time(&at)?));
                }
            }
        }
        Ok(())
    }

    /// Whether every event has been delivered and processed by everybody that it is for.
    pub(crate) fn has_ended(&self) -> bool {
        self.events.iter().all(|event| {
            let processed = |name: &Name| event.received.iter().any(|(receiver, _)| receiver == name);
            !event.records.is_empty() && receivers(event.kind()).iter().all(processed)
        })
    }

    /// The events of a batch, by time.
    pub(crate) fn of_batch(&self, batch_id: Uuid) -> Vec<&Event> {
        let batch_id = batch_id.to_string();
        let events = self.events.iter();
        events
            .filter(|event| event.field("batch_id") == Some(&batch_id))
            .collect()
    }
}

fn value(message: &OutboxMessage) -> Result<Value> {
    match message.payload() {
        Payload::Json(text) => Ok(serde_json::from_str(text)?),
        _ => Ok(Value::Null),
    }
}

/// A time as both databases write it.
fn time(text: &str) -> Result<DateTime<Utc>> {
    let read = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    let read = read.with_context(|| format!("`{text}` is no time"))?;
    Ok(read.with_timezone(&Utc))
}

/// When the messages of a service were written: PostgreSQL does not report when a transaction committed, so an order is
/// known within each of them.
#[cfg(feature = "postgres")]
async fn written(pool: &sqlx::Pool<service_kit::Db>) -> Result<Vec<Written>> {
    let sql = "SELECT xid::text::bigint FROM outbox_messages ORDER BY seq";
    let transactions: Vec<i64> = sqlx::query_scalar(sql).fetch_all(pool).await?;
    let written = |(position, transaction): (u32, i64)| Written {
        transaction: u64::try_from(transaction).unwrap_or_default(),
        position,
        inserted: 0,
        committed: u64::MAX,
    };
    Ok((0..).zip(transactions).map(written).collect())
}

/// When the messages of a service were written: SQLite has one writer at a time, so the order of rows is the order of
/// commits.
#[cfg(not(feature = "postgres"))]
async fn written(pool: &sqlx::Pool<service_kit::Db>) -> Result<Vec<Written>> {
    let sql = "SELECT seq FROM outbox_messages ORDER BY seq";
    let rows: Vec<i64> = sqlx::query_scalar(sql).fetch_all(pool).await?;
    let written = |seq: i64| {
        let written = u64::try_from(seq).unwrap_or_default() * 2;
        Written {
            transaction: written,
            position: 0,
            inserted: written,
            committed: written + 1,
        }
    };
    Ok(rows.into_iter().map(written).collect())
}
