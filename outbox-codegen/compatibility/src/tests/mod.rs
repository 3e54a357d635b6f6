//! The verdicts, against what serde really does.

mod derives;
mod events;
mod model;
mod oddities;
mod pair;
mod properties;
mod unknown;

use super::judgement::judge;
