//! Writers in transactions of other crates: the row and the event, or neither, and the same records as sqlx's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod any_driver;
mod cases;
mod diesel;
mod modes;
mod scene;
mod sea_orm;
mod service;
mod tokio_postgres;
