//! Commits a transaction by librdkafka's own call.
//!
//! rdkafka's safe `commit_transaction` flushes first, and its flush looks for finished records only ten times a second
//! while another thread takes the delivery reports: a commit takes up to 100 ms then, and one of 5,000 records takes
//! some 20. librdkafka's call waits for the same, and is woken. So this is called directly.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::bindings;
use rdkafka::producer::{Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use super::producer::Reports;
use crate::publisher::{PublishError, PublishErrorKind};

/// The kind of a call's error that is over its time, and goes on when it is made again.
pub(super) const TOOK_ITS_TIME: PublishErrorKind = PublishErrorKind::Full;

/// Whether that is what happened.
pub(super) fn took_its_time(code: RDKafkaErrorCode, retriable: bool) -> bool {
    retriable && code == RDKafkaErrorCode::OperationTimedOut
}

/// Commits the open transaction, all records of which were acknowledged. Blocks.
pub(super) fn commit(producer: &ThreadedProducer<Reports>, patience: Duration) -> Result<(), PublishError> {
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    let client = producer.client().native_ptr();
    // SAFETY: the pointer belongs to `producer`, which outlives the call. The call may be made from any thread, beside
    // the one that polls. The error is null or ours: it is read, and destroyed once.
    let (message, code, retriable) = unsafe {
        let error = bindings::rd_kafka_commit_transaction(client, patience);
        if error.is_null() {
            return Ok(());
        }
        let text = CStr::from_ptr(bindings::rd_kafka_error_string(error));
        let message = text.to_string_lossy().into_owned();
        let retriable = bindings::rd_kafka_error_is_retriable(error) != 0;
        let code = RDKafkaErrorCode::from(bindings::rd_kafka_error_code(error));
        bindings::rd_kafka_error_destroy(error);
        (message, code, retriable)
    };
    let kind = match retriable {
        true if took_its_time(code, retriable) => TOOK_ITS_TIME,
        true => PublishErrorKind::Unavailable,
        false => PublishErrorKind::Fatal,
    };
    Err(PublishError::new(
        kind,
        format!("the transaction could not be committed: {message}"),
    ))
}
