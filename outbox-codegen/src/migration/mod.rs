//! The migrations of one log in a directory: what is there, what should be, and in which format.

mod alembic;
mod directory;
mod format;
mod header;
mod plan;

pub(crate) use plan::plan;
