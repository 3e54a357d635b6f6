//! What the guarantees and every insert rest on beside the tables' columns, and what a database's owner can change.
//!
//! One list: a relay asks it when it starts and whenever it connects anew, `outbox migration check` prints it, and
//! `docs/delivery-guarantees.md` lists it. To add an assumption is to add an entry to `postgres.rs`, and a row there.

#[cfg(feature = "postgres")]
mod numbers;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub(super) use postgres::broken as broken_in_postgres;
#[cfg(feature = "sqlite")]
pub(super) use sqlite::broken as broken_in_sqlite;
