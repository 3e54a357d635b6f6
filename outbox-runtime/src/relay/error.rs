//! Errors that end a relay or prevent its start.

use std::error::Error as StdError;
use std::fmt;

use crate::catalog::CatalogError;
use crate::publisher::PublishError;
use crate::schema::SchemaError;
use crate::store::{StoreError, StoreErrorKind};

/// A permanent error that ended a relay. Records that it had not sent are still in the log.
#[derive(Debug)]
pub struct RelayError {
    kind: RelayErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Kind of a [`RelayError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayErrorKind {
    /// An invalid setting, a missing right, or a pooler between the relay and PostgreSQL.
    Configuration,
    /// The events of this program contradict each other: see
    /// [`Catalog::check`](crate::catalog::Catalog::check), and
    /// [`RelayBuilder::strict_catalog`](super::RelayBuilder::strict_catalog).
    Catalog,
    /// The tables are missing or have another version.
    Schema,
    /// The cursor was written in another database cluster.
    ForeignCluster,
    /// In exactly-once delivery, the cursors in the database and in Kafka contradict each other.
    Contradiction,
}

impl RelayError {
    /// The kind of the error.
    pub fn kind(&self) -> RelayErrorKind {
        self.kind
    }

    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self {
            kind: RelayErrorKind::Configuration,
            message: message.into(),
            source: None,
        }
    }

    /// The error that ends a relay, if this one does. `waits` for rights and objects that are missing: it has worked with them
    /// before, and they can be given back.
    pub(super) fn fatal(error: StoreError, waits: bool) -> Result<Self, StoreError> {
        let kind = match error.kind() {
            StoreErrorKind::Configuration if !waits => RelayErrorKind::Configuration,
            StoreErrorKind::Schema => RelayErrorKind::Schema,
            StoreErrorKind::ForeignCluster => RelayErrorKind::ForeignCluster,
            StoreErrorKind::Undecided => RelayErrorKind::Contradiction,
            _ => return Err(error),
        };
        Ok(Self {
            kind,
            message: "the relay stopped".to_owned(),
            source: Some(error.into()),
        })
    }
}

impl From<CatalogError> for RelayError {
    fn from(error: CatalogError) -> Self {
        Self {
            kind: RelayErrorKind::Catalog,
            message: format!("the events of this program contradict each other: {error}"),
            source: None,
        }
    }
}

impl From<PublishError> for RelayError {
    fn from(error: PublishError) -> Self {
        Self {
            kind: RelayErrorKind::Configuration,
            message: "the publisher's configuration is invalid".to_owned(),
            source: Some(error.into()),
        }
    }
}

impl From<SchemaError> for RelayError {
    fn from(error: SchemaError) -> Self {
        Self {
            kind: RelayErrorKind::Schema,
            message: "the relay cannot start".to_owned(),
            source: Some(error.into()),
        }
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for RelayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
