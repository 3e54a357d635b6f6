//! Deleting delivered messages: what goes, and above all what stays.

mod dead_letters;
mod partitions;
mod program;
mod races;
mod random;
mod relays;
mod scene;
mod sqlite;
mod table;
