//! Deletion of delivered messages and old dead letters.
//!
//! Off by default. With the setting [`Retention`], a relay ([`RelayConfig`](crate::RelayConfig::retention))
//! deletes while it is active. A [`Pruner`] does the same in a separate program, such as a cron job. The
//! database decides which messages are settled, in the transaction that deletes them: see
//! [`Pruning`](crate::store::Pruning).

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
