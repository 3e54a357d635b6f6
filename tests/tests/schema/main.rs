//! The tables' definition, applied by everything that applies migrations, on both databases.

mod files;
mod postgres;
mod sqlite;
