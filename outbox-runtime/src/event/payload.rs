//! The value of a record.

/// A boxed error of any type that is `Send` and `Sync`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The value of a record, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// JSON text, stored and sent byte for byte.
    Json(String),
    /// Bytes of another format, which the content type names.
    Binary(Vec<u8>),
    /// No value, which deletes the key in a compacted topic.
    Tombstone,
}

impl Payload {
    /// Serializes `value` as JSON.
    ///
    /// # Errors
    /// What serde says, for example for a map whose keys are not strings; and a number that is NaN or infinite, for
    /// which `serde_json::to_string` writes `null`.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, BoxError> {
        Ok(Self::Json(super::finite::to_string(value)?))
    }

    /// The size in bytes; 0 for a tombstone.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Tombstone => 0,
        }
    }

    /// Whether the size is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
