//! Whether what was committed is in the broker, in order, and nothing else.

use std::collections::BTreeSet;

use anyhow::Result;
use outbox_runtime::testkit::checker::{Committed, CommittedEvent, DeliveredRecord, Report, Written};
use outbox_runtime::testkit::{TestBroker, TestOutbox};
use outbox_runtime::{InboxMessage, Payload};
use uuid::Uuid;

use crate::services::Platform;

/// What the checker found.
pub(crate) struct Verdict {
    services: usize,
    report: Report,
}

/// Compares all databases with all topics.
pub(crate) async fn of(platform: &Platform, broker: &TestBroker) -> Result<Verdict> {
    let mut committed = Committed::new();
    let mut topics = BTreeSet::new();
    let mut services = 0;
    let mut moment = 0;
    for database in platform.databases() {
        services += 1;
        for message in TestOutbox::on(database).await.messages().await {
            let value = match message.payload() {
                Payload::Json(text) => Some(text.as_bytes()),
                Payload::Binary(bytes) => Some(bytes.as_slice()),
                _ => None,
            };
            // SQLite has one writer at a time, so the order of rows is the order of commits.
            moment += 2;
            let written = Written {
                transaction: moment,
                position: 0,
                inserted: moment,
                committed: moment + 1,
            };
            topics.insert(message.topic().to_owned());
            committed.event(CommittedEvent {
                id: message.id(),
                topic: message.topic(),
                key: message.key(),
                value,
                headers: &[],
                written,
            })?;
        }
    }
    let topics: Vec<String> = topics.into_iter().collect();
    let records = broker.records(&topics).await;
    let report = committed.check(records.iter().map(delivered), []);
    Ok(Verdict { services, report })
}

fn delivered(record: &InboxMessage) -> DeliveredRecord<'_> {
    DeliveredRecord {
        topic: record.topic(),
        partition: record.partition(),
        offset: record.offset(),
        id: record.header("ce_id").and_then(|id| Uuid::parse_str(id).ok()),
        key: record.key(),
        value: record.value(),
        headers: record.headers(),
        timestamp_ms: record.timestamp_ms(),
    }
}

impl Verdict {
    /// Whether nothing is missing, unexpected, doubled or out of order.
    pub(crate) fn holds(&self) -> bool {
        self.report.is_exact()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { services, report } = self;
        writeln!(
            f,
            "{services} services committed {} events; {} arrived",
            report.committed, report.delivered
        )?;
        match self.holds() {
            true => write!(
                f,
                "Every committed event arrived, in order, and nothing else did."
            ),
            false => write!(f, "{report:?}"),
        }
    }
}
