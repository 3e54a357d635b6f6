//! The dead letters as the relay works with them, without a database or a broker.
//!
//! `parking` knows what is on its way into the dead letters and out of them. A redelivery sends records out of there: in
//! the order of their positions (`page_redelivery`), or key by key where keys wait for themselves (`key_redelivery`).
//! `key_order` keeps one record of a key in flight and the others behind it, and `lookup` annotates the pages of the log
//! with the keys that have dead letters. `unconfirmed` holds redeliveries back until it is known what an earlier reader has
//! written.

pub(super) mod key_order;
pub(super) mod key_redelivery;
pub(super) mod lookup;
pub(super) mod page_redelivery;
pub(super) mod parking;
pub(super) mod unconfirmed;

use std::time::Duration;

use crate::store::{KEY_PAUSED, Parked};

pub(super) use crate::relay::topic_health::TOPIC_UNAVAILABLE;

/// Reason codes: another record of the key is dead; somebody has skipped the record; somebody has paused the topic.
pub(super) use crate::store::{BEHIND_DEAD, SKIPPED, TOPIC_PAUSED};

/// Why records of a key that somebody has paused are parked.
pub(super) fn key_paused() -> Parked {
    Parked {
        reason: KEY_PAUSED,
        error: "an operator has paused its key: `outbox status` says who and why".to_owned(),
    }
}

/// How often is looked for records that somebody wants sent again.
pub(super) const REPLAY_POLL_INTERVAL: Duration = Duration::from_millis(500);
