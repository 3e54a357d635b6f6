//! What stands between a program and its servers or its reader: rights, poolers, pipes that are closed.

mod pipes;
mod pooler;
mod rights;
