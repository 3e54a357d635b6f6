//! Topics of a test's own, and everything that is in them.

mod read;
mod rights;
mod topic;

pub use read::{ReadRecord, read_all, read_committed};
pub use rights::{GRANTED_RIGHTS, Operation, RIGHTS, Resource, Right};
pub use topic::Topic;
