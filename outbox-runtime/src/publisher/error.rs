//! What can go wrong at the broker, sorted by what a relay does about it.

use std::error::Error as StdError;
use std::fmt;

/// An error of a [`Publisher`](super::Publisher). Its [`kind`](Self::kind) decides what the relay does.
#[derive(Debug)]
pub struct PublishError {
    kind: PublishErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a [`PublishError`] means for the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// No retry can deliver this record. It goes to the dead letters with this word for a reason.
    Record(&'static str),
    /// The topic takes no records: unknown, forbidden, deleted. Retried for ever.
    Topic,
    /// The broker is away, busy or refuses this client. Retried for ever.
    Unavailable,
    /// The record was taken back before it left this process. It is sent again later.
    Withdrawn,
    /// Too much is on its way. Tried again once something is settled.
    Full,
    /// The record's topic has to be prepared first.
    Unprepared,
    /// The client is broken and has to be rebuilt; what was on its way may come twice.
    Fatal,
    /// A property is wrong. Found before anything is sent.
    Configuration,
}

impl PublishError {
    /// An error that says `message` to people.
    pub fn new(kind: PublishErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds what caused the error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the error means for the relay.
    pub fn kind(&self) -> PublishErrorKind {
        self.kind
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for PublishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
