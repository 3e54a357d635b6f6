//! From librdkafka's error codes to what a relay does about them.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::publisher::{PublishError, PublishErrorKind as Kind};

/// The error of a record whose delivery failed.
pub(super) fn failed(error: &KafkaError) -> PublishError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    PublishError::new(
        kind_of(code),
        format!("the broker did not take the record: {code}"),
    )
}

/// The error of a record that librdkafka did not even queue.
pub(super) fn refused(error: KafkaError) -> PublishError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    PublishError::new(
        kind_of(code),
        format!("the Kafka client did not take the record: {code}"),
    )
}

/// What a code means. Only a code that speaks of the record itself condemns the record: everything unknown is
/// waited for, because a wait can be ended and a lost event cannot be found again.
pub(super) fn kind_of(code: Code) -> Kind {
    match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
            Kind::Record("too_large")
        }
        Code::InvalidRecord | Code::InvalidTimestamp => Kind::Record("refused_by_broker"),
        Code::InvalidTopic => Kind::Record("invalid_topic"),
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::UnknownTopicId
        | Code::TopicAuthorizationFailed => Kind::Topic,
        Code::PurgeQueue | Code::PurgeInflight | Code::InvalidDifferentRecord => Kind::Withdrawn,
        Code::QueueFull => Kind::Full,
        Code::Fatal
        | Code::Fenced
        | Code::Inconsistent
        | Code::GaplessGuarantee
        | Code::ClusterAuthorizationFailed
        | Code::OutOfOrderSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced => Kind::Fatal,
        _ => Kind::Unavailable,
    }
}
