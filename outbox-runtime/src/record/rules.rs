//! What no record may be, whoever wrote its row: the same words at emit and in the relay.

use std::ops::RangeInclusive;

#[cfg(any(feature = "kafka", feature = "testkit", test))]
use super::OutboxRecord;

/// The milliseconds since 1970 that a record's timestamp can be: to Kafka's clients 0 and less mean "none", and
/// RFC 3339, which `ce_time` is written in, ends with the year 9999.
const TIMESTAMPS: RangeInclusive<i64> = 1..=253_402_300_799_999;

/// Why a row can be no record, if it cannot: a word for programs and a sentence for people.
#[cfg(any(feature = "kafka", feature = "testkit", test))]
pub(crate) fn fault(record: &OutboxRecord<'_>) -> Option<(&'static str, String)> {
    if !is_timestamp(record.occurred_at_ms) {
        let says = format!(
            "`occurred_at` is {} ms since 1970, which is no timestamp of a record: those go from 1970, after its first \
             millisecond, to the end of 9999",
            record.occurred_at_ms
        );
        return Some(("timestamp", says));
    }
    if is_structured(record.content_type) {
        let says = format!("`content_type` is {:?}: {STRUCTURED}", record.content_type);
        return Some(("invalid_content_type", says));
    }
    None
}

/// Whether a record can have this timestamp.
pub(crate) fn is_timestamp(ms: i64) -> bool {
    TIMESTAMPS.contains(&ms)
}

/// What is wrong with a media type that [`is_structured`] finds.
pub(crate) const STRUCTURED: &str = "receivers would take the whole value for a structured CloudEvent, but an event's \
                                     attributes are in its headers, and its value is the data alone; name the data's \
                                     own type, such as `application/json`";

/// Whether a media type says that the value is a CloudEvent, or several, as a whole. What counts is how it begins,
/// in any case: so the Kafka binding of CloudEvents distinguishes its modes.
pub(crate) fn is_structured(content_type: &str) -> bool {
    const CLOUD_EVENTS: &[u8] = b"application/cloudevents";
    let start = content_type.trim_start().as_bytes().get(..CLOUD_EVENTS.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(CLOUD_EVENTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structured_events_are_known_by_their_media_type() {
        for structured in [
            "application/cloudevents+json",
            "application/cloudevents",
            "application/cloudevents-batch+json",
            "Application/CloudEvents+JSON; charset=utf-8",
            " application/cloudevents+avro",
        ] {
            assert!(is_structured(structured), "{structured}");
        }
        for other in [
            "application/json",
            "application/cloudevent+json",
            "",
            "text/cloudevents",
            "ä",
        ] {
            assert!(!is_structured(other), "{other}");
        }
    }

    #[test]
    fn timestamps_end_with_rfc_3339() {
        let text = |ms| chrono::DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339();
        assert_eq!(text(*TIMESTAMPS.end()), "9999-12-31T23:59:59.999+00:00");
        assert!(is_timestamp(1) && !is_timestamp(0) && !is_timestamp(-1) && !is_timestamp(i64::MAX));
    }
}
