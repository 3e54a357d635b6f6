//! The file service end to end: driven over HTTP, read back from Kafka, with PostgreSQL in between.

mod atomicity;
mod context;
mod events;
mod process;
mod requests;
mod restart;
mod running;
mod uploads;
