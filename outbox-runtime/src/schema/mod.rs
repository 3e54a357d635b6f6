//! The outbox tables: their names, definition and migrations.
//!
//! The definition is SQL, one file for each database and direction. [`Migration`] renders it for a set of
//! [`Tables`], [`migrate`] applies it, and the command line writes it to files. [`migrate`] and files can be
//! mixed, because the SQL records its version and takes the same lock.

mod apply;
mod assumptions;
mod check;
mod definition;
mod dialect;
mod error;
mod layout;
#[cfg(feature = "postgres")]
mod locks;
mod migration;
#[cfg(feature = "postgres")]
mod partitions;
mod render;
mod rights;
mod tables;
mod version;

pub use apply::{Migrated, migrate, migrate_as};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use check::other_version;
pub use check::{SchemaComparison, check_schema, compare_schema, missing_rights};
#[cfg(feature = "postgres")]
pub(crate) use check::{differences, warnings};
pub use definition::{Finding, Severity};
pub use dialect::{Dialect, SchemaDatabase};
pub use error::SchemaError;
pub use layout::Layout;
#[cfg(feature = "postgres")]
pub(crate) use locks::is_lock_timeout;
pub use migration::{Migration, SCHEMA_VERSION, Step};
#[cfg(all(feature = "postgres", feature = "metrics"))]
pub(crate) use partitions::partitions_ahead;
#[cfg(feature = "postgres")]
pub(crate) use partitions::{full_partitions, is_partitioned, make_partitions, owns_partitions, room};
#[cfg(feature = "postgres")]
pub(crate) use render::ADVISORY_LOCK;
pub use rights::Role;
pub use tables::{InvalidTables, Tables};
pub use version::{Fit, TablesVersion};
