//! Topics of a test's own, and everything that is in them.

mod read;
mod topic;

pub use read::{ReadRecord, read_all, read_committed};
pub use topic::Topic;
