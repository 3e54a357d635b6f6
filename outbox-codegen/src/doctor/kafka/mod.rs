//! What the brokers and the topics are like.

mod collect;
mod facts;
mod judge;

pub(crate) use collect::{Wanted, collect};
pub(crate) use judge::judge;
