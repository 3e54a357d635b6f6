//! What an operator wants to know of a log.

use std::time::Duration;

use serde::Serialize;

use super::observed::{optional_seconds, seconds};
use crate::delivery_mode::DeliveryMode;

/// A log's state.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreStatus {
    /// Committed messages that are not settled.
    pub backlog: Backlog,
    /// The active relay, if there is one.
    pub lease: Option<LeaseStatus>,
    /// Dead letters that need a decision by an operator.
    pub dead: u64,
    /// Records that are parked until their topic accepts them.
    pub parked: u64,
    /// Delivery mode of the relay that wrote the cursor last.
    pub delivery: DeliveryMode,
}

/// Committed messages that are not settled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Backlog {
    /// The number; an estimate unless `exact`.
    pub messages: u64,
    /// Whether `messages` was counted.
    pub exact: bool,
    /// The age of the oldest, by its `occurred_at`; `None` when there is none.
    #[serde(rename = "oldest_age_seconds", serialize_with = "optional_seconds")]
    pub oldest_age: Option<Duration>,
}

/// The holder of the lease.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeaseStatus {
    /// The holder's readable name.
    pub holder: String,
    /// The holder's epoch.
    pub epoch: i64,
    /// Time for which it has held the lease.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Duration,
}
