//! The tables: their names, their definition, and how they come into a database.
//!
//! The definition is SQL in this folder, one file for each database and direction. [`Migration`] renders it for
//! a set of [`Tables`], [`migrate`] applies it, the command line writes it to files. Both ways can be mixed:
//! the SQL itself records its version and takes the same lock.

mod apply;
mod dialect;
mod error;
mod migration;
mod render;
mod tables;

pub use apply::{Migrated, check_schema, migrate};
pub use dialect::{Dialect, SchemaDatabase};
pub use error::SchemaError;
pub use migration::{Migration, SCHEMA_VERSION, Step};
pub use tables::{InvalidTables, Tables};
