//! Messages that a consumer gave up on, whole and with the reason.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use super::message::Headers;
use super::message::InboxMessage;

/// The longest text of an error that is kept, in bytes.
const LONGEST_ERROR: usize = 4_000;

/// A message that a consumer could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The consumer group.
    pub consumer: String,
    /// The message's id, which identifies the dead letter within the group.
    pub message_id: String,
    /// The original message with topic, partition and offset.
    pub message: InboxMessage,
    /// The reason.
    pub reason: DeadLetterReason,
    /// The text of the last error and its sources.
    pub error: String,
    /// Number of attempts.
    pub attempts: i32,
    /// Time of the last failure.
    pub failed_at: DateTime<Utc>,
}

/// Reason of a [`DeadLetter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The value could not be decoded as the event's type.
    Undecodable,
    /// The handler returned `Poison`.
    Refused,
    /// The handler failed in every attempt.
    Failed,
    /// The type has no handler, and the consumer is configured to store such messages.
    UnknownType,
    /// A reason of a later version of this library.
    Other,
}

impl DeadLetterReason {
    /// The code in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::UnknownType => "unknown_type",
            Self::Other => "other",
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn from_text(text: &str) -> Self {
        [Self::Undecodable, Self::Refused, Self::Failed, Self::UnknownType]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .unwrap_or(Self::Other)
    }
}

/// A dead letter to write.
#[derive(Debug, Clone, Copy)]
pub struct FailedMessage<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) message_id: &'a str,
    pub(crate) message: &'a InboxMessage,
    pub(crate) reason: DeadLetterReason,
    pub(crate) error: &'a str,
    pub(crate) attempts: i32,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl FailedMessage<'_> {
    /// The event's type, as far as a column can hold it.
    pub(crate) fn event_type(&self) -> Option<&str> {
        self.message.event_type().filter(|name| !name.contains('\0'))
    }
}

/// An error's text, as far as a column can hold it.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn storable(error: &str) -> String {
    let text = error.replace('\0', "\u{fffd}");
    let end = (0..=LONGEST_ERROR.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

/// A header's value in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Nothing(()),
    Text(String),
    Bytes(Vec<u8>),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn headers_to_json(headers: &[(String, Option<Vec<u8>>)]) -> Result<String, sqlx::Error> {
    let value = |value: &Option<Vec<u8>>| match value {
        None => Value::Nothing(()),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.clone()),
        },
    };
    let pairs: Vec<_> = headers.iter().map(|(name, bytes)| (name, value(bytes))).collect();
    serde_json::to_string(&pairs).map_err(|error| sqlx::Error::Encode(error.into()))
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn headers_from_json(text: &str) -> Result<Headers, sqlx::Error> {
    let pairs: Vec<(String, Value)> =
        serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let bytes = |value| match value {
        Value::Nothing(()) => None,
        Value::Text(text) => Some(text.into_bytes()),
        Value::Bytes(bytes) => Some(bytes),
    };
    Ok(pairs
        .into_iter()
        .map(|(name, value)| (name, bytes(value)))
        .collect())
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        let headers = vec![
            ("a".to_owned(), Some(b"text \0 \"quoted\"".to_vec())),
            ("a".to_owned(), Some(vec![0xff, 0x00, 0xfe])),
            ("b".to_owned(), None),
            ("c".to_owned(), Some(Vec::new())),
        ];
        let json = headers_to_json(&headers).unwrap();
        assert_eq!(headers_from_json(&json).unwrap(), headers);
    }

    #[test]
    fn an_error_is_cut_between_letters() {
        let long = "é".repeat(LONGEST_ERROR);
        assert_eq!(storable(&long).len(), LONGEST_ERROR);
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        assert_eq!(storable(""), "");
    }
}
