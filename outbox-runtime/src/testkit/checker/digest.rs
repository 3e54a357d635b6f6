//! 64 bits that stand for a value: enough to distinguish two values, small enough to keep millions.

use std::hash::{DefaultHasher, Hash, Hasher};

pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
