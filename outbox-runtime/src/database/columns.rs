//! The columns that the library fills, in the order in which all inserts bind them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

#[cfg(any(test, feature = "postgres", feature = "sqlite"))]
use crate::event::Payload;
use crate::message::OutboxMessage;

/// The columns, in the order of the parameters.
pub(crate) const COLUMNS: &str = "id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, \
                                  content_type, source, headers, occurred_at";

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl OutboxMessage {
    pub(crate) fn json(&self) -> Option<&str> {
        match &self.payload {
            Payload::Json(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn binary(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl OutboxMessage {
    /// The headers as one JSON object, in their order.
    pub(crate) fn headers_json(&self) -> Result<String, sqlx::Error> {
        serde_json::to_string(&Headers(&self.headers)).map_err(|error| sqlx::Error::Encode(error.into()))
    }
}

struct Headers<'a>(&'a [(String, String)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> OutboxMessage {
        OutboxMessage::builder("t", "k")
            .payload(Payload::Binary(vec![0; bytes]))
            .header("b", "1")
            .header("a", "\"")
            .build()
    }

    #[test]
    fn headers_keep_their_order() {
        assert_eq!(message(0).headers_json().unwrap(), r#"{"b":"1","a":"\""}"#);
    }
}
