//! What can go wrong at the broker, sorted by what a relay does about it.

use std::error::Error as StdError;
use std::fmt;

/// An error of a [`Publisher`](super::Publisher).
#[derive(Debug)]
pub struct PublishError {
    kind: PublishErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Kind of a [`PublishError`], which decides what the relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// No retry can deliver this record. It is dead-lettered with this reason code.
    Record(&'static str),
    /// Topic unavailable: unknown, forbidden or deleted. Retried indefinitely.
    Topic,
    /// The broker is unavailable, busy or refuses this client. Retried indefinitely.
    Unavailable,
    /// The record was withdrawn before it left this process. It is sent again later.
    Withdrawn,
    /// Too many records are in flight. Retried when one is settled.
    Full,
    /// The record's topic must be prepared first.
    Unprepared,
    /// The client is broken and must be rebuilt. Records in flight may be sent twice.
    Fatal,
    /// A property is invalid. Found before anything is sent.
    Configuration,
}

impl PublishErrorKind {
    /// A word for metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Topic => "topic",
            Self::Unavailable => "unavailable",
            Self::Withdrawn => "withdrawn",
            Self::Full => "full",
            Self::Unprepared => "unprepared",
            Self::Fatal => "fatal",
            Self::Configuration => "configuration",
        }
    }
}

impl PublishError {
    /// Creates an error with this message.
    pub fn new(kind: PublishErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Sets the cause of the error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of the error.
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
