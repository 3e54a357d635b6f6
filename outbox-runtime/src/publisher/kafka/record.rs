//! A record as Kafka stores it: its headers, its size, and whether a topic can take it at all.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::message::{Header, OwnedHeaders};

use super::topics::Route;
use crate::publisher::{PublishError, PublishErrorKind};
use crate::record::{OutboxRecord, WireOptions};

/// Headers and the size they take.
pub(super) struct Prepared {
    pub(super) headers: OwnedHeaders,
    headers_size: usize,
}

/// What a batch takes beside its records, and a record beside its key, value and headers (attributes, two
/// deltas of zero).
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 3;

impl Prepared {
    pub(super) fn new(record: &OutboxRecord<'_>, wire: &WireOptions) -> Result<Self, PublishError> {
        let mut headers = Some(OwnedHeaders::new_with_capacity(8));
        let mut headers_size = 0;
        let mut count = 0;
        wire.headers(record, |key, value| {
            headers_size += varint(key.len()) + key.len();
            headers_size += value.map_or(1, |value| varint(value.len()) + value.len());
            count += 1;
            headers = headers
                .take()
                .map(|headers| headers.insert(Header { key, value }));
        })
        .map_err(|error| {
            PublishError::new(PublishErrorKind::Record("invalid_headers"), error.to_string())
                .with_source(error)
        })?;
        Ok(Self {
            headers: headers.unwrap_or_default(),
            headers_size: headers_size + varint(count),
        })
    }

    /// Whether the topic can take the record, as far as that can be known before it is sent.
    /// [`PublishErrorKind::Unprepared`]: not by what is known, which may be out of date.
    pub(super) fn check(
        &self,
        record: &OutboxRecord<'_>,
        route: &Route,
        compressed: bool,
    ) -> Result<(), PublishError> {
        self.check_against(record, route, compressed).map_err(|refused| {
            if route.was_just_asked() {
                return refused;
            }
            let what = "the topic's settings may have changed since they were read";
            PublishError::new(PublishErrorKind::Unprepared, what).with_source(refused)
        })
    }

    fn check_against(
        &self,
        record: &OutboxRecord<'_>,
        route: &Route,
        compressed: bool,
    ) -> Result<(), PublishError> {
        if let Some(limit) = route.max_message_bytes.filter(|_| !compressed) {
            let size = self.size_alone(record);
            if size > limit {
                return Err(PublishError::new(
                    PublishErrorKind::Record("too_large"),
                    format!(
                        "the record takes {size} bytes and topic `{}` takes at most {limit} (max.message.bytes)",
                        record.topic
                    ),
                ));
            }
        }
        route.check_timestamp(record, now_ms())
    }

    /// The size of a batch that holds this record alone, which is what a broker compares with its limit.
    fn size_alone(&self, record: &OutboxRecord<'_>) -> usize {
        let value = record
            .payload
            .map_or(1, |payload| varint(payload.len()) + payload.len());
        let body = RECORD_OVERHEAD + varint(record.key.len()) + record.key.len() + value + self.headers_size;
        BATCH_OVERHEAD + varint(body) + body
    }
}

/// Topics come from rows that anybody's SQL may have written.
pub(super) fn check_topic(topic: &str) -> Result<(), PublishError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=249).contains(&topic.len()) && topic != "." && topic != ".." && topic.bytes().all(legal) {
        return Ok(());
    }
    Err(PublishError::new(
        PublishErrorKind::Record("invalid_topic"),
        format!(
            "`{topic}` is not a name that Kafka takes: 1 to 249 of the letters A to Z and a to z, digits, `.`, `_` and `-`"
        ),
    ))
}

/// The bytes of a length as Kafka's zig-zag variable-length integer.
fn varint(length: usize) -> usize {
    let zigzag = (length as u64) << 1;
    (u64::BITS - zigzag.leading_zeros()).div_ceil(7).max(1) as usize
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_as_long_as_kafkas() {
        assert_eq!(
            [0, 63, 64, 8191, 8192, 1_048_575, 1_048_576].map(varint),
            [1, 1, 2, 2, 3, 3, 4]
        );
    }

    #[test]
    fn topics_that_kafka_refuses_are_refused() {
        let long = "x".repeat(250);
        for bad in ["", ".", "..", "a b", "ä", "a/b", "a\0b", long.as_str()] {
            assert_eq!(
                check_topic(bad).unwrap_err().kind(),
                PublishErrorKind::Record("invalid_topic"),
                "{bad}"
            );
        }
        assert!(check_topic("huleedu.file-batch_1.added.v1").is_ok());
    }
}
