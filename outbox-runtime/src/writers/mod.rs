//! Writing events in transactions of other crates than sqlx: diesel, tokio-postgres, sea-orm, or any driver of
//! PostgreSQL.
//!
//! A [`Writer`] puts events into the transaction of its stack, and
//! [`OutboxMessage::insert`](crate::OutboxMessage::insert) gives the statement for all others. Either way the checks and
//! the row are those of [`OutboxTx::emit`](crate::OutboxTx::emit). The tables and the relay are the same for all.

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
