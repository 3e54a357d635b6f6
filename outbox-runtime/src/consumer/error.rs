//! Why a consumer ended, or could not start.

use std::error::Error as StdError;
use std::fmt;

use crate::schema::SchemaError;

/// A permanent error that ended a consumer. Messages that it had not processed are still in Kafka.
#[derive(Debug)]
pub struct ConsumerError {
    kind: ConsumerErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Kind of a [`ConsumerError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerErrorKind {
    /// An invalid setting or property.
    Configuration,
    /// The tables are missing or have another version.
    Schema,
    /// Kafka permanently refuses this member, for instance because another member has taken its
    /// `group.instance.id`.
    Refused,
}

impl ConsumerError {
    /// The kind of the error.
    pub fn kind(&self) -> ConsumerErrorKind {
        self.kind
    }

    pub(super) fn new(kind: ConsumerErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self::new(ConsumerErrorKind::Configuration, message)
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<SchemaError> for ConsumerError {
    fn from(error: SchemaError) -> Self {
        Self::new(ConsumerErrorKind::Schema, "the consumer cannot start").with_source(error)
    }
}

impl fmt::Display for ConsumerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ConsumerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
