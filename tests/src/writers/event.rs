//! Events made up by chance.

use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

/// An event that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, known before it is written, so that it is identified whatever becomes of it.
    pub id: Uuid,
    /// The topic it is for.
    pub topic: String,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// A header of its own, `x-test`.
    pub header: Option<String>,
}

/// What an event's record contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// JSON, to be delivered with this very text.
    Json(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Nothing.
    Tombstone,
}

/// The type that all events have.
pub(crate) const EVENT_TYPE: &str = "TestHappenedV1";

impl Value {
    /// The record's value.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Json(text) => Some(text.as_bytes()),
            Self::Binary(bytes) => Some(bytes),
            Self::Tombstone => None,
        }
    }

    pub(crate) fn json(&self) -> Option<&str> {
        if let Self::Json(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn binary(&self) -> Option<&[u8]> {
        if let Self::Binary(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }
}

impl Event {
    pub(crate) fn random(random: &mut StdRng, topics: &[String], keys: u32) -> Self {
        let id = Uuid::from_u128(random.random());
        let value = match random.random_range(0..20) {
            0 => Value::Tombstone,
            1 => Value::Binary(
                (0..random.random_range(0..300))
                    .map(|_| random.random())
                    .collect(),
            ),
            // Not as a serializer would write it: the text has to arrive as it is.
            _ => {
                let filling = "ö\\\"\\\\".repeat(random.random_range(0..40));
                Value::Json(format!(
                    "{{\"z\" : \"{filling}\",\"a\":[ 1.0 , null],\"a\":{}}}",
                    random.random::<i32>()
                ))
            }
        };
        Self {
            id,
            topic: topics[random.random_range(0..topics.len())].clone(),
            key: format!("key-{}", random.random_range(0..keys)),
            value,
            header: random.random_bool(0.2).then(|| format!("for {id}")),
        }
    }

    /// Gives some keys a length that the library refuses and SQL does not: more than an entry of an index may have.
    pub(crate) fn lengthen(&mut self) {
        if self.key.ends_with('7') {
            // Nothing that could be compressed (SplitMix64).
            let noise = (1..=250_u64).map(|n| {
                let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                format!("{:016x}", mixed ^ (mixed >> 31))
            });
            self.key = format!("{}-{}", self.key, noise.collect::<String>());
        }
    }

    /// The row's own headers, as JSON.
    pub(crate) fn headers(&self) -> String {
        let own = self
            .header
            .iter()
            .map(|value| ("x-test".to_owned(), value.clone().into()))
            .collect();
        serde_json::Value::Object(own).to_string()
    }
}
