//! From librdkafka's error codes to what a relay does about them.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::librdkafka::Right;
use crate::publisher::{PublishError, PublishErrorKind as Kind};

/// The error of a record whose delivery failed.
pub(super) fn failed(error: &KafkaError, topic: &str) -> PublishError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    let right = Right::WriteTopic(topic).lacking(code);
    PublishError::new(
        kind_of(code),
        format!("the broker refused the record: {code}{right}"),
    )
}

/// The error of a record that librdkafka did not even queue.
pub(super) fn refused(error: KafkaError) -> PublishError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    PublishError::new(
        kind_of(code),
        format!("the Kafka client refused the record: {code}"),
    )
}

/// What a code means. One that a later librdkafka adds is waited for: a wait can be ended, and a lost event cannot be
/// found again.
pub(super) fn kind_of(code: Code) -> Kind {
    known(code).unwrap_or(Kind::Unavailable)
}

/// What each code means that there is. Only a code that speaks of the record itself condemns the record.
fn known(code: Code) -> Option<Kind> {
    Some(match code {
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
        // The idempotent producer gives up: nothing more goes through it.
        Code::Fatal
        | Code::Fenced
        | Code::Inconsistent
        | Code::GaplessGuarantee
        | Code::ClusterAuthorizationFailed
        | Code::OutOfOrderSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::ProducerFenced => Kind::Fatal,

        // The broker is away, too slow, or being restarted.
        Code::BrokerDestroy
        | Code::DestroyBroker
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::UnknownBroker
        | Code::NodeUpdate
        | Code::RebootstrapRequired
        | Code::BrokerNotAvailable
        | Code::NetworkException
        | Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::ThrottlingQuotaExceeded
        | Code::StaleBrokerEpoch
        | Code::StaleControllerEpoch
        | Code::NotController => Kind::Unavailable,
        // The leader moves, or too few replicas are in sync.
        Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable
        | Code::ElectionNotNeeded
        | Code::ReassignmentInProgress
        | Code::NoReassignmentInProgress
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::ISRInsufficient => Kind::Unavailable,
        // The broker's disk.
        Code::KafkaStorageError | Code::LogDirNotFound | Code::LogTruncation => Kind::Unavailable,
        // Authentication is refused, or the connection is not the one that the broker expects.
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SSL
        | Code::SecurityDisabled
        | Code::ListenerNotFound
        | Code::InvalidPrincipalType
        | Code::PrincipalDeserializationFailure
        | Code::UnacceptableCredential
        | Code::DelegationTokenAuthDisabled
        | Code::DelegationTokenNotFound
        | Code::DelegationTokenOwnerMismatch
        | Code::DelegationTokenRequestNotAllowed
        | Code::DelegationTokenAuthorizationFailed
        | Code::DelegationTokenExpired => Kind::Unavailable,
        // Damaged on its way, or of a kind that this broker does not take from anybody.
        Code::InvalidMessage
        | Code::BadMessage
        | Code::BadCompression
        | Code::UnsupportedCompressionType
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnknownProtocol
        | Code::NotImplemented
        | Code::InvalidRequest
        | Code::InvalidRequiredAcks
        | Code::PolicyViolation
        | Code::DuplicateSequenceNumber
        | Code::UnknownProducerId => Kind::Unavailable,
        // This machine, or the client's own state.
        Code::Fail
        | Code::CriticalSystemResource
        | Code::FileSystem
        | Code::InvalidArgument
        | Code::WaitingForCoordinator
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::Conflict
        | Code::State
        | Code::Outdated
        | Code::WaitCache
        | Code::Interrupted
        | Code::KeySerialization
        | Code::ValueSerialization
        | Code::KeyDeserialization
        | Code::ValueDeserialization
        | Code::Partial
        | Code::ReadOnly
        | Code::NoEnt
        | Code::Underflow
        | Code::InvalidType
        | Code::Retry
        | Code::NotConfigured
        | Code::Application
        | Code::Noop
        | Code::OperationNotAttempted => Kind::Unavailable,
        // Transactions, as far as they do not end a producer.
        Code::InvalidTransactionalState
        | Code::InvalidProducerIdMapping
        | Code::InvalidTransactionTimeout
        | Code::ConcurrentTransactions
        | Code::TransactionCoordinatorFenced
        | Code::TransactionalIdAuthorizationFailed => Kind::Unavailable,
        // Errors of consumers, groups and administrators.
        Code::PartitionEOF
        | Code::UnknownGroup
        | Code::ExistingSubscription
        | Code::AssignPartitions
        | Code::RevokePartitions
        | Code::NoOffset
        | Code::PollExceeded
        | Code::AssignmentLost
        | Code::AutoOffsetReset
        | Code::OffsetOutOfRange
        | Code::OffsetMetadataTooLarge
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::IllegalGeneration
        | Code::InconsistentGroupProtocol
        | Code::InvalidGroupId
        | Code::UnknownMemberId
        | Code::InvalidSessionTimeout
        | Code::RebalanceInProgress
        | Code::InvalidCommitOffsetSize
        | Code::GroupAuthorizationFailed
        | Code::TopicAlreadyExists
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::NonEmptyGroup
        | Code::GroupIdNotFound
        | Code::FetchSessionIdNotFound
        | Code::InvalidFetchSessionEpoch
        | Code::TopicDeletionDisabled
        | Code::OffsetNotAvailable
        | Code::MemberIdRequired
        | Code::GroupMaxSizeReached
        | Code::FencedInstanceId
        | Code::GroupSubscribedToTopic
        | Code::UnstableOffsetCommit
        | Code::ResourceNotFound
        | Code::DuplicateResource
        | Code::InconsistentVoterSet
        | Code::InvalidUpdateVersion
        | Code::FeatureUpdateFailed
        | Code::FencedMemberEpoch
        | Code::UnreleasedInstanceId
        | Code::UnsupportedAssignor
        | Code::StaleMemberEpoch
        | Code::UnknownSubscriptionId
        | Code::TelemetryTooLarge => Kind::Unavailable,
        // No errors, and what librdkafka cannot name.
        Code::Begin | Code::End | Code::EndAll | Code::NoError | Code::Unknown => Kind::Unavailable,
        // The list grows with librdkafka.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    fn all_codes() -> impl Iterator<Item = Code> {
        (-200..1_000).filter_map(|number: i32| RDKafkaRespErr::try_from(number).ok().map(Code::from))
    }

    #[test]
    fn every_code_is_listed() {
        let unlisted: Vec<Code> = all_codes().filter(|code| known(*code).is_none()).collect();
        assert!(unlisted.is_empty(), "{unlisted:?}");
        assert!(all_codes().count() > 150, "{}", all_codes().count());
    }

    /// A dead letter needs somebody's decision, so what leads there is as short a list as can be.
    #[test]
    fn only_what_speaks_of_the_record_condemns_it() {
        let condemning = all_codes().filter(|code| matches!(kind_of(*code), Kind::Record(_)));
        let expected = [
            Code::InvalidMessageSize,
            Code::MessageSizeTooLarge,
            Code::InvalidTopic,
            Code::MessageBatchTooLarge,
            Code::InvalidTimestamp,
            Code::InvalidRecord,
        ];
        assert_eq!(condemning.collect::<Vec<_>>(), expected);
    }

    /// The first row of the contract's table: retried for ever.
    #[test]
    fn outages_are_waited_for() {
        for code in [
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::RequestTimedOut,
            Code::MessageTimedOut,
            Code::Authentication,
            Code::SaslAuthenticationFailed,
        ] {
            assert_eq!(kind_of(code), Kind::Unavailable, "{code}");
        }
    }
}
