//! What was committed: the side of the comparison that the writers know.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::digest::digest;

/// An event whose transaction committed.
#[derive(Debug, Clone, Copy)]
pub struct CommittedEvent<'a> {
    /// The event's id.
    pub id: Uuid,
    /// The topic.
    pub topic: &'a str,
    /// The key.
    pub key: &'a str,
    /// The value's bytes; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers that the record must have, possibly among others.
    pub headers: &'a [(&'a str, &'a str)],
    /// When the event was written, as far as known.
    pub written: Written,
}

/// When an event was written, on any clock that all writers of a test share, such as a counter.
///
/// The order that follows is sound when `inserted` was taken before the row was sent to the database, and
/// `committed` after the commit had been acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The transaction.
    pub transaction: u64,
    /// The event's position within its transaction.
    pub position: u32,
    /// A time before the row was inserted.
    pub inserted: u64,
    /// A time after the transaction committed; `u64::MAX` if unknown.
    pub committed: u64,
}

/// Two committed events have the same id, so no consumer could distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two events were committed with the id {0}")]
pub struct SameId(pub Uuid);

/// The committed events, for the comparison with what was delivered.
///
/// It keeps digests of values rather than values: a million events take some 200 MB.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    pub(super) index: HashMap<Uuid, u32>,
    pub(super) events: Vec<Expected>,
    pub(super) streams: Vec<Stream>,
    pub(super) rolled_back: HashSet<Uuid>,
    pub(super) pairs: Vec<(Uuid, Uuid)>,
    stream_index: HashMap<Stream, u32>,
}

/// A key of a topic: what there is an order in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    pub(super) topic: String,
    pub(super) key: String,
}

#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) id: Uuid,
    pub(super) stream: u32,
    pub(super) value: u64,
    pub(super) headers: Box<[(String, String)]>,
    pub(super) written: Written,
}

impl Committed {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event, in any order.
    ///
    /// # Errors
    /// There is one with this id already.
    pub fn event(&mut self, event: CommittedEvent<'_>) -> Result<(), SameId> {
        let number = self.events.len() as u32;
        if self.index.insert(event.id, number).is_some() {
            return Err(SameId(event.id));
        }
        let stream = self.stream(event.topic, event.key);
        let headers = event
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = headers.collect();
        self.events.push(Expected {
            id: event.id,
            stream,
            value: digest(&event.value),
            headers,
            written: event.written,
        });
        Ok(())
    }

    /// Adds an event that was written and rolled back. If it is delivered anyway, the report says so.
    pub fn rolled_back(&mut self, id: Uuid) {
        self.rolled_back.insert(id);
    }

    /// Adds that `first` precedes `second`, if this is known from other sources than [`Written`].
    pub fn precedes(&mut self, first: Uuid, second: Uuid) {
        self.pairs.push((first, second));
    }

    /// Number of committed events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether no event was committed.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn stream(&mut self, topic: &str, key: &str) -> u32 {
        let stream = Stream {
            topic: topic.to_owned(),
            key: key.to_owned(),
        };
        *self.stream_index.entry(stream).or_insert_with_key(|stream| {
            self.streams.push(stream.clone());
            (self.streams.len() - 1) as u32
        })
    }
}
