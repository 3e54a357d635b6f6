//! What a PostgreSQL server, the database and its tables are like.

mod collect;
mod facts;
mod judge;
mod rights;
mod sql;

pub(crate) use collect::{Wanted, collect};
pub(crate) use facts::{Payload, PostgresFacts, RoleRights};
pub(crate) use judge::judge;
