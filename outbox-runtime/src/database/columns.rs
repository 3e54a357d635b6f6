//! The columns that the library fills, in the order in which all inserts bind them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::event::Payload;
use crate::message::OutboxMessage;

/// The columns, in the order of the parameters.
pub(crate) const COLUMNS: &str = "id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, \
                                  content_type, source, headers, occurred_at";

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

    /// The headers as one JSON object, in their order.
    pub(crate) fn headers_json(&self) -> Result<String, sqlx::Error> {
        serde_json::to_string(&Headers(&self.headers)).map_err(|error| sqlx::Error::Encode(error.into()))
    }

    /// The bytes that a statement has to carry for it, roughly.
    pub(crate) fn weight(&self) -> usize {
        256 + self.payload.len()
            + self
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }
}

/// Splits messages so that no statement carries more than so many rows and bytes; a message larger than that
/// goes alone.
pub(crate) fn chunks(
    messages: &[OutboxMessage],
    rows: usize,
    bytes: usize,
) -> impl Iterator<Item = &[OutboxMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fit = rest.iter().take(rows).take_while(|message| {
            sum += message.weight();
            sum <= bytes
        });
        let length = fit.count().max(1).min(rest.len());
        let (chunk, after) = rest.split_at(length);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
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

    #[test]
    fn chunks_are_bounded_in_rows_and_bytes() {
        let messages: Vec<_> = [10, 10, 10, 5_000, 10].into_iter().map(message).collect();
        let lengths = |rows, bytes| chunks(&messages, rows, bytes).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(2, usize::MAX), [2, 2, 1]);
        assert_eq!(lengths(10, 1_000), [3, 1, 1]);
        assert_eq!(lengths(10, 0), [1, 1, 1, 1, 1]);
        assert_eq!(chunks(&[], 2, 2).count(), 0);
    }
}
