//! The verdicts, against what serde really does.

mod derives;
mod events;
mod model;
mod oddities;
mod pair;
mod properties;
mod unknown;

use serde_json::Value;

use super::parse::Document;
use super::reading::{Finding, findings};
use super::report::Direction;

/// What keeps new readers from old data, and old readers from new data.
fn judge(old: &Value, new: &Value) -> [Vec<Finding>; 2] {
    let (old, new) = (Document::parse(old), Document::parse(new));
    [
        findings(&new, &old, Direction::Backward),
        findings(&old, &new, Direction::Forward),
    ]
}
