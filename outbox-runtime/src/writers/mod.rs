//! Writes events in transactions of diesel, tokio-postgres, sea-orm, or any other PostgreSQL driver.
//!
//! A [`Writer`] writes events in a transaction of one of these crates.
//! [`OutboxMessage::insert`](crate::OutboxMessage::insert) returns the statement for any other driver. Both
//! make the same checks and write the same row as [`OutboxTx::emit`](crate::OutboxTx::emit), for the same
//! tables and relay.

#[cfg(feature = "diesel")]
mod diesel;
mod insert;
#[cfg(feature = "sea-orm")]
mod sea_orm;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

#[cfg(feature = "diesel")]
pub use self::diesel::Diesel;
#[cfg(feature = "sea-orm")]
pub use self::sea_orm::SeaOrm;
#[cfg(feature = "tokio-postgres")]
pub use self::tokio_postgres::TokioPostgres;
pub use insert::{Insert, Parameter};

#[cfg(any(feature = "diesel", feature = "tokio-postgres", feature = "sea-orm"))]
pub use writer::Writer;

#[cfg(any(feature = "diesel", feature = "tokio-postgres", feature = "sea-orm"))]
mod writer;
