//! Topics as `outbox.toml` wants them, compared with those that are there.

mod cluster;
mod plan;
mod refusal;
mod wanted;

pub(crate) use cluster::{Cluster, Created};
pub(crate) use plan::{Difference, Plan};
pub(crate) use wanted::{Wanted, WantedTopic};
