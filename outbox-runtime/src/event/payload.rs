//! The value of a record.

/// An error of any type that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The value of a record, exactly as Kafka gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// JSON text, stored and sent byte for byte.
    Json(String),
    /// Bytes of any other format; say which in the content type.
    Binary(Vec<u8>),
    /// No value: in a compacted topic it deletes the key.
    Tombstone,
}

impl Payload {
    /// The JSON text that serde writes for `value`.
    ///
    /// # Errors
    /// What serde says, for example for a map whose keys are not strings; and a number that is NaN or infinite, for
    /// which `serde_json::to_string` writes `null`.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, BoxError> {
        Ok(Self::Json(super::finite::to_string(value)?))
    }

    /// The value's size in bytes; a tombstone has none.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Tombstone => 0,
        }
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
