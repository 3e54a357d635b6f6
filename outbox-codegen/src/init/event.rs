//! The first event.

/// What makes it part of the library.
pub(super) const MODULE: &str = "pub mod outbox_events;";

pub(super) fn source(package: &str) -> String {
    format!(
        "//! The events of this service: each is declared here, once. `outbox catalog` lists them.

use outbox_runtime::OutboxEvent;
use serde::{{Deserialize, Serialize}};

/// The service has started: an event to begin with, until there are others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, OutboxEvent)]
#[outbox(topic = \"{topic}\", aggregate = \"service\", key = service)]
pub struct ServiceStartedV1 {{
    /// The service's name, which is the record's key.
    pub service: String,
}}
",
        topic = topic(package)
    )
}

/// The topic of the first event; a package's name has no letter that Kafka refuses.
pub(super) fn topic(package: &str) -> String {
    format!("{package}.service.started.v1")
}
