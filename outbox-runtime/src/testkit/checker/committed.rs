//! What was committed: the side of the comparison that the writers tell.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::digest::digest;

/// An event whose transaction committed.
#[derive(Debug, Clone, Copy)]
pub struct CommittedEvent<'a> {
    /// The event's id.
    pub id: Uuid,
    /// The topic it is for.
    pub topic: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The value's bytes; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers that its record has to carry; others may be there as well.
    pub headers: &'a [(&'a str, &'a str)],
    /// When it was written, as far as that is known.
    pub written: Written,
}

/// When an event was written, on any clock that all writers of a test share: a counter will do.
///
/// The order that follows is sound when `inserted` was taken before the row was sent to the database, and
/// `committed` after the commit had been acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Which transaction it was in.
    pub transaction: u64,
    /// The how manieth of its transaction it was.
    pub position: u32,
    /// A moment before its row was inserted.
    pub inserted: u64,
    /// A moment after its transaction had committed; `u64::MAX` if nobody knows one.
    pub committed: u64,
}

/// Two events were committed under one id, which no consumer could tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two events were committed with the id {0}")]
pub struct SameId(pub Uuid);

/// All that was committed, to be compared with what was delivered.
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
    /// Nothing was committed yet.
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

    /// An event that was written and rolled back: should it be delivered all the same, the report says what
    /// it was.
    pub fn rolled_back(&mut self, id: Uuid) {
        self.rolled_back.insert(id);
    }

    /// Adds that `first` precedes `second`, where that is known by other means than the moments of
    /// [`Written`].
    pub fn precedes(&mut self, first: Uuid, second: Uuid) {
        self.pairs.push((first, second));
    }

    /// How many events were committed.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing was committed.
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
