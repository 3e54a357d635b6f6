//! What stands between a program and its servers or its reader: rights, poolers, pipes that are closed.

mod encrypted_kafka;
mod encrypted_postgres;
mod kafka_rights;
mod managed;
mod passwords;
mod pipes;
mod pooler;
mod process_end;
mod rights;
mod urls;
