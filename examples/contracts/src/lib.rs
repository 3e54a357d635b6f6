//! The events of an essay platform: what its services announce to each other.
//!
//! Each event is declared once, with topic, key and fields. Its producer emits the type, its consumers decode it. A
//! module belongs to the service that produces its events.

pub mod aggregation;
pub mod assessment;
pub mod batch;
pub mod file;
pub mod lifecycle;
pub mod spellcheck;

mod essay;

pub use essay::EssayText;
