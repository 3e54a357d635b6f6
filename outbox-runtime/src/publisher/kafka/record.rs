//! A record as Kafka stores it: its headers, its size, and whether a topic can take it at all.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::message::{Header, OwnedHeaders};

use super::route::Route;
use crate::publisher::{PublishError, PublishErrorKind};
use crate::record::size::HeaderSizes;
use crate::record::{OutboxRecord, WireOptions, rules};

/// Headers and the size they take.
pub(super) struct Prepared {
    pub(super) headers: OwnedHeaders,
    sizes: HeaderSizes,
}

impl Prepared {
    pub(super) fn new(record: &OutboxRecord<'_>, wire: &WireOptions) -> Result<Self, PublishError> {
        if let Some((reason, says)) = rules::fault(record) {
            return Err(PublishError::new(PublishErrorKind::Record(reason), says));
        }
        let mut headers = Some(OwnedHeaders::new_with_capacity(8));
        let mut sizes = HeaderSizes::default();
        wire.headers(record, |key, value| {
            sizes.add(key.len(), value.map(<[u8]>::len));
            headers = headers
                .take()
                .map(|headers| headers.insert(Header { key, value }));
        })
        .map_err(|error| PublishError::new(PublishErrorKind::Record("invalid_headers"), error.to_string()))?;
        Ok(Self {
            headers: headers.unwrap_or_default(),
            sizes,
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
            let size = self
                .sizes
                .alone(record.key.len(), record.payload.map(<[u8]>::len));
            if size > limit {
                return Err(PublishError::new(
                    PublishErrorKind::Record("too_large"),
                    format!(
                        "the record takes {size} bytes and topic `{}` accepts at most {limit} \
                         (max.message.bytes)",
                        record.topic
                    ),
                ));
            }
        }
        route.check_timestamp(record, now_ms())
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

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
