//! The tables: their names, their definition, and how they come into a database.

mod tables;

pub use tables::{InvalidTables, Tables};
