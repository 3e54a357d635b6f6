//! At-least-once delivery: records in, settlements back, the cursor after them.
//!
//! A `run` lasts as long as one reader, and `ending` is how it ends; `cursor_writes` says when the cursor is written.
//! `delivery` hands records over, `settling` takes note of what became of them,
//! and `in_flight` knows how far everything is settled; `counts` reports metrics. `publish_in_order` sends topics that
//! block, one record of a key at a time, and `one_at_a_time` what poison detection asks for. `suspension` parks what a
//! suspended topic cannot take, and the redeliveries send it later. `health_check` finds out which topics are suspect,
//! and `silence` whether the client is stuck.

mod counts;
mod cursor_writes;
pub(super) mod delivery;
mod ending;
mod health_check;
mod in_flight;
mod key_redelivery;
pub(super) mod one_at_a_time;
mod page_redelivery;
mod publish_in_order;
pub(super) mod run;
mod settling;
mod silence;
mod suspension;
