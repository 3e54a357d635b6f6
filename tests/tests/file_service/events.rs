//! The service's topics, and the events in them.

use outbox_tests::kafka::{ReadRecord, Topic};
use outbox_tests::servers;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) const ADDED: &str = "huleedu.file.batch.file.added.v1";
pub(crate) const REMOVED: &str = "huleedu.file.batch.file.removed.v1";
pub(crate) const PROVISIONED: &str = "huleedu.file.essay.content.provisioned.v1";
pub(crate) const FAILED: &str = "huleedu.file.essay.validation.failed.v1";

fn topics() -> [Topic; 4] {
    [ADDED, REMOVED, PROVISIONED, FAILED].map(|name| Topic::named(&servers::brokers(), name, 3))
}

/// Makes the topics, which all tests share.
pub(crate) async fn ensure_topics() {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(async || {
        for topic in topics() {
            topic.ensure().await;
        }
    })
    .await;
}

/// A record of one of the topics, with its value read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) record: ReadRecord,
    pub(crate) value: Value,
}

impl Event {
    pub(crate) fn topic(&self) -> &str {
        &self.record.topic
    }

    pub(crate) fn upload(&self) -> Uuid {
        self.value["file_upload_id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.record.header(name)
    }

    /// The value as one of the service's types.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.value.clone()).unwrap()
    }
}

/// All events of a batch: topic by topic, each key's in their order.
pub(crate) async fn of_batch(batch: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for topic in topics() {
        let records = topic.read_all().await.into_iter().map(|record| {
            let value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            Event { record, value }
        });
        events.extend(records.filter(|event| event.value["batch_id"] == batch));
    }
    events
}

/// Those of one topic.
pub(crate) fn in_topic<'e>(events: &'e [Event], topic: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.topic() == topic).collect()
}
