//! Retention: how long delivered messages are kept, and deleting them after that.
//!
//! Off by default. [`Retention`] is the setting; a relay with it ([`RelayConfig`](crate::RelayConfig::retention)) deletes
//! while it is the active one. A [`Pruner`] does the same for a program of its own, such as a cron job. Which messages are
//! settled is decided by the database, in the transaction that deletes them: see [`Pruning`](crate::store::Pruning).

mod handle;
mod marks;
mod pace;
mod policy;
mod position;
mod pruned;
mod pruner;

pub use handle::RetentionHandle;
pub use policy::{InvalidRetention, Keep, Retention};
pub use pruned::Pruned;
pub use pruner::Pruner;
