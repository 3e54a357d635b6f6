//! Which brokers take the records: looked at once a term, and written down beside the cursor.

use super::{ReaderHandle, Request};
use crate::publisher::Publisher;

/// How far that is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Broker {
    #[default]
    Unknown,
    /// The reader was asked to write it down.
    Requested,
    Noted,
}

impl Broker {
    /// A new term: other brokers may answer under the same address.
    pub(in crate::relay) fn ask_again(&mut self) {
        *self = Self::Unknown;
    }

    /// A new reader: what the last one was asked for it may not have written.
    pub(in crate::relay) fn request_again(&mut self) {
        if *self == Self::Requested {
            *self = Self::Unknown;
        }
    }

    /// Something was settled, so a broker has answered.
    pub(in crate::relay) fn settled(&mut self, publisher: &impl Publisher, feed: &ReaderHandle) {
        if *self == Self::Unknown
            && let Some(cluster) = publisher.cluster()
        {
            feed.ask(Request::NoteBroker(cluster));
            *self = Self::Requested;
        }
    }

    /// It is written down.
    pub(in crate::relay) fn noted(&mut self, before: Option<&str>, now: &str) {
        *self = Self::Noted;
        if let Some(before) = before.filter(|before| *before != now) {
            tracing::warn!(
                %before, %now,
                "this is another Kafka cluster than before; relaying goes on from the cursor, and what the other one had \
                 acknowledged is not sent to this one"
            );
        }
    }
}
