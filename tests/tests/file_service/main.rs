//! The file service end to end: driven over HTTP, with PostgreSQL and a broker, by the test kit.

mod atomicity;
mod context;
mod process;
mod requests;
mod restart;
mod running;
mod uploads;
