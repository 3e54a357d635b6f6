//! A message as a record, as it would be read back from the log.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::message::OutboxMessage;
use crate::record::{OutboxRecord, RecordFields};

/// The parts of a record that a message does not have in this form.
#[derive(Debug)]
pub(super) struct Stored {
    message: OutboxMessage,
    headers: String,
}

/// PostgreSQL stores an object's names by their length first, and the last of equal ones.
#[derive(Debug, PartialEq, Eq)]
struct Name(String);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.as_bytes().cmp(other.0.as_bytes()))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Stored {
    pub(super) fn new(message: OutboxMessage) -> Self {
        let headers = in_stored_order(message.headers());
        Self { message, headers }
    }

    pub(super) fn message(&self) -> &OutboxMessage {
        &self.message
    }

    pub(super) fn record(&self) -> OutboxRecord<'_> {
        let message = &self.message;
        RecordFields {
            seq: 0,
            id: message.id(),
            topic: message.topic(),
            key: message.key(),
            event_type: message.event_type(),
            content_type: message.content_type(),
            source: message.source(),
            headers: &self.headers,
            payload: message.json().map(str::as_bytes).or(message.binary()),
            occurred_at_ms: message.occurred_at().timestamp_millis(),
        }
    }
}

fn in_stored_order(headers: &[(String, String)]) -> String {
    let by_name: BTreeMap<Name, &str> = headers
        .iter()
        .map(|(name, value)| (Name(name.clone()), value.as_str()))
        .collect();
    let pairs = by_name
        .iter()
        .map(|(name, value)| format!("{}:{}", Value::from(name.0.as_str()), Value::from(*value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_in_the_order_of_a_jsonb_object() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(in_stored_order(&[]), "{}");
        let headers = [
            header("x-tenant", "a\"b"),
            header("b", "1"),
            header("aa", "2"),
            header("a", "3"),
            header("b", "4"),
        ];
        assert_eq!(
            in_stored_order(&headers),
            r#"{"a":"3","b":"4","aa":"2","x-tenant":"a\"b"}"#
        );
    }
}
