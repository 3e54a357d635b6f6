//! The migrations of one log in a directory: what is there, what should be, and in which format.

mod alembic;
mod directory;
mod format;
mod header;
mod numbering;
mod plan;

pub(crate) use plan::{format_of, plan};
