//! The relay: what reaches the broker is what was committed, in order, through whatever goes wrong.

mod blocking;
mod blocking_on_servers;
mod broken;
mod contents;
mod emitted;
mod failover;
mod log;
mod many_transactions;
mod operations;
mod outages;
mod parked_rewinds;
mod partitions;
mod pauses;
mod postgres;
mod recovery;
mod rewinds;
mod suspended_topics;
mod throttles;
mod topics;
mod troubled_topics;
mod upgrades;
