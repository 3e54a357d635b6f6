//! How records of a topic are sent: in batches of which size, to how many partitions, within which limits.

use std::time::{Duration, Instant};

use rdkafka::admin::ConfigResource;

use crate::publisher::{PublishError, PublishErrorKind};
use crate::record::OutboxRecord;

/// librdkafka's own default. Kafka's default limit for a record is a little above it.
pub(super) const LARGEST_BATCH: usize = 1_000_000;

/// Settings of topics are changed while relays run.
pub(super) const RECHECK_KNOWN: Duration = Duration::from_secs(60);

/// A topic that is not there may be created at any time, with limits of its own.
pub(super) const RECHECK_UNKNOWN: Duration = Duration::from_secs(2);

/// What is known of a topic is used this much longer while the broker is asked again.
const STALE: Duration = Duration::from_secs(60);

/// A record is refused by settings that are no older: an older answer may be out of date.
const JUST_ASKED: Duration = Duration::from_millis(100);

/// How records of a topic are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The producer that its records go through.
    pub(super) batch_size: usize,
    /// How many partitions the topic has, if the broker reported it.
    pub(super) partitions: Option<u32>,
    /// The topic's limit, if the broker reported it.
    pub(super) max_message_bytes: Option<usize>,
    /// How far a record's timestamp may lie before and after the broker's clock, in milliseconds.
    timestamps: Option<(i64, i64)>,
    /// When the broker was asked last.
    asked: Instant,
    good_until: Instant,
}

/// Whether a route can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    /// Yes, and the broker is to be asked again meanwhile.
    Stale,
    /// No: the broker is to be asked first.
    Outdated,
}

impl Route {
    /// Of a topic whose settings are not known: Kafka's defaults.
    pub(super) fn unknown(good_for: Duration, partitions: Option<u32>) -> Self {
        Self {
            batch_size: LARGEST_BATCH,
            partitions,
            max_message_bytes: None,
            timestamps: None,
            asked: Instant::now(),
            good_until: Instant::now() + good_for,
        }
    }

    pub(super) fn new(settings: &ConfigResource, partitions: Option<u32>) -> Self {
        let text = |name: &str| settings.get(name).and_then(|entry| entry.value.as_deref());
        let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
        let max_message_bytes = number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok());
        let by_producer = text("message.timestamp.type") == Some("CreateTime");
        let before = number("message.timestamp.before.max.ms").unwrap_or(i64::MAX);
        let after = number("message.timestamp.after.max.ms").unwrap_or(i64::MAX);
        Self {
            batch_size: batch_size(max_message_bytes),
            partitions,
            max_message_bytes,
            timestamps: by_producer.then_some((before, after)),
            asked: Instant::now(),
            good_until: Instant::now() + RECHECK_KNOWN,
        }
    }

    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        if now < self.good_until {
            Freshness::Fresh
        } else if now < self.good_until + STALE {
            Freshness::Stale
        } else {
            Freshness::Outdated
        }
    }

    /// Asks the broker again before the next record, and not meanwhile.
    pub(super) fn expire(&mut self) {
        if let Some(long_ago) = Instant::now().checked_sub(STALE) {
            self.good_until = long_ago;
        }
    }

    /// The same for a little longer, because the broker does not answer.
    pub(super) fn extended(&self) -> Self {
        Self {
            asked: Instant::now(),
            good_until: Instant::now() + RECHECK_UNKNOWN,
            ..self.clone()
        }
    }

    /// Whether records go through the same producers in the same way. Where they do not, those in flight have to
    /// be acknowledged before the next one is sent.
    pub(super) fn goes_as(&self, other: &Self) -> bool {
        (self.batch_size, self.partitions) == (other.batch_size, other.partitions)
    }

    /// Whether there are partitions that this route does not know.
    pub(super) fn has_grown_to(&self, other: &Self) -> bool {
        self.partitions.is_some() && self.partitions < other.partitions
    }

    /// Whether what these settings refuse is refused for certain. Otherwise the broker has to be asked again first:
    /// somebody may have raised a limit so that a dead letter can be replayed.
    pub(super) fn was_just_asked(&self) -> bool {
        self.asked.elapsed() < JUST_ASKED
    }

    /// One record with a timestamp that the broker refuses would take its whole batch along.
    pub(super) fn check_timestamp(&self, record: &OutboxRecord<'_>, now_ms: i64) -> Result<(), PublishError> {
        let Some((before, after)) = self.timestamps else {
            return Ok(());
        };
        let age = now_ms.saturating_sub(record.occurred_at_ms);
        let refused_by = if age > before {
            "message.timestamp.before.max.ms"
        } else if age.saturating_neg() > after {
            "message.timestamp.after.max.ms"
        } else {
            return Ok(());
        };
        Err(PublishError::new(
            PublishErrorKind::Record("timestamp"),
            format!(
                "occurred_at is {age} ms ago and topic `{}` does not accept that ({refused_by})",
                record.topic
            ),
        ))
    }
}

/// A batch no larger than the limit, from few sizes, because each size is a producer.
fn batch_size(limit: Option<usize>) -> usize {
    match limit {
        Some(limit) if limit < LARGEST_BATCH => 1 << limit.max(1).ilog2(),
        _ => LARGEST_BATCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stay_below_the_topics_limit() {
        assert_eq!(batch_size(None), LARGEST_BATCH);
        assert_eq!(batch_size(Some(1_048_588)), LARGEST_BATCH);
        for limit in [1, 100, 20_000, 65_536, 999_999] {
            let size = batch_size(Some(limit));
            assert!(size <= limit && size * 2 > limit, "{limit} gave {size}");
        }
    }

    #[test]
    fn a_route_is_used_a_while_longer_while_the_broker_is_asked() {
        let mut route = Route::unknown(RECHECK_KNOWN, Some(6));
        let asked = Instant::now();
        let after = |seconds| asked + Duration::from_secs(seconds);
        assert_eq!(route.freshness(asked), Freshness::Fresh);
        assert_eq!(route.freshness(after(61)), Freshness::Stale);
        assert_eq!(route.freshness(after(121)), Freshness::Outdated);
        route.expire();
        assert_eq!(route.freshness(Instant::now()), Freshness::Outdated);
    }

    #[test]
    fn timestamps_that_a_topic_refuses_are_found() {
        let route = Route {
            timestamps: Some((i64::MAX, 3_600_000)),
            ..Route::unknown(RECHECK_KNOWN, None)
        };
        let record = |occurred_at_ms| OutboxRecord {
            seq: 1,
            id: uuid::Uuid::nil(),
            topic: "t",
            key: "k",
            event_type: "E",
            content_type: "application/json",
            source: None,
            headers: "{}",
            payload: None,
            occurred_at_ms,
        };
        let now = 1_700_000_000_000;
        assert!(route.check_timestamp(&record(0), now).is_ok());
        assert!(route.check_timestamp(&record(now + 3_600_000), now).is_ok());
        let error = route.check_timestamp(&record(now + 3_600_001), now).unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Record("timestamp"));
        assert!(error.to_string().contains("after.max"), "{error}");
    }
}
