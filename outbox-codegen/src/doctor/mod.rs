//! `outbox doctor`: facts of the database and of Kafka, and what is wrong with them.
//!
//! Facts are collected in `postgres`, `sqlite` and `kafka`; each has a `judge` that turns them into findings, without a
//! clock or a connection. `delivery` judges what the health check of the library says.

mod code;
mod delivery;
mod finding;
pub(crate) mod kafka;
mod limits;
pub(crate) mod postgres;
mod schema;
pub(crate) mod sqlite;

pub(crate) use code::Code;
pub(crate) use delivery::judge_health;
pub(crate) use finding::{Finding, Hidden, Mend, Seen, Severity};
pub(crate) use limits::Limits;
pub(crate) use schema::judge_schema;
