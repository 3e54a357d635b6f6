//! Messages that no handler takes, each type of which is reported once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::inbox::InboxMessage;

/// Types come from other services, and memory is bounded.
const REMEMBERED: usize = 1_000;

/// Topics and types of messages without a handler.
#[derive(Debug, Default)]
pub(super) struct UnknownMessages(Mutex<HashSet<(String, Option<String>)>>);

impl UnknownMessages {
    /// Whether this is the first message of its type and topic. `false` once there are too many to remember.
    pub(super) fn is_new(&self, message: &InboxMessage) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (
            message.topic().to_owned(),
            message.event_type().map(str::to_owned),
        );
        known.len() < REMEMBERED && known.insert(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_each_topic_is_reported_once() {
        let unknown = UnknownMessages::default();
        let message = |topic: &str, event_type: &str| {
            InboxMessage::new(topic, 0, 0).with_header("ce_type", event_type.to_owned())
        };
        assert!(unknown.is_new(&message("orders", "A")));
        assert!(!unknown.is_new(&message("orders", "A")));
        assert!(unknown.is_new(&message("orders", "B")));
        assert!(unknown.is_new(&message("payments", "A")));
        assert!(unknown.is_new(&InboxMessage::new("orders", 0, 0)));
        for number in 0..REMEMBERED {
            unknown.is_new(&message("orders", &number.to_string()));
        }
        assert!(!unknown.is_new(&message("orders", "C")));
    }
}
