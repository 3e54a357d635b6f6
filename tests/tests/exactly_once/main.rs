//! Exactly-once delivery: what a consumer that reads committed records sees is what was committed, once, through
//! whatever goes wrong.

mod automatic_topics;
mod blocking;
mod cluster;
mod dead_letters;
mod faults;
mod killed;
mod modes;
mod operations;
mod pauses;
mod restores;
mod scene;
mod sizes;
mod upgrades;
