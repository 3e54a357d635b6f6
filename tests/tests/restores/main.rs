//! What becomes of a log whose database was restored, upgraded, copied or failed over, and whose Kafka was replaced:
//! each row of `docs/restores.md`, on real servers.

mod clock;
mod dumps;
mod kafka;
mod lost_rows;
mod operators;
mod points_in_time;
mod random;
mod resets;
mod scene;
mod sqlite;
mod staging;
mod take_over;
