//! Why the tables cannot be used or made.

use super::SCHEMA_VERSION;

/// The tables do not match this version, or could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The tables are not in this database, or not on its `search_path`.
    #[error(
        "there are no outbox tables in this database (no table {table}): run `outbox migrate{arguments} \
         --database-url <url>` or apply the file that `outbox generate migration` writes"
    )]
    #[non_exhaustive]
    Missing {
        /// The missing table.
        table: String,
        /// What the command line needs to hear about names, with a space in front.
        arguments: String,
    },
    /// The tables are of an older version of the toolkit.
    #[error(
        "the outbox tables have version {found}, this program needs {SCHEMA_VERSION}: run `outbox migrate{arguments} --database-url <url>` of the version that the program was built with"
    )]
    #[non_exhaustive]
    Older {
        /// The version in the database.
        found: i32,
        /// What the command line needs to hear about names, with a space in front.
        arguments: String,
    },
    /// The tables are of a newer version of the toolkit, and programs of this one do not work with them.
    #[error(
        "the outbox tables have version {found}, this program supports version {SCHEMA_VERSION}: build it with the newer version that migrated the tables"
    )]
    #[non_exhaustive]
    Newer {
        /// The version in the database.
        found: i32,
    },
    /// The tables have the right version and are not what it says.
    #[error(
        "the outbox tables do not match version {SCHEMA_VERSION}: {findings}; correct this, then check again with `outbox migration check{arguments} --database-url <url>`"
    )]
    #[non_exhaustive]
    Different {
        /// What differs.
        findings: String,
        /// What the command line needs to hear about names, with a space in front.
        arguments: String,
    },
    /// Partitions were asked for, and the messages are one table already.
    #[error(
        "the messages are stored in one table, which cannot be partitioned: create a new log under another \
         prefix or schema, move the writers to it, and let the relay drain the old one"
    )]
    NotPartitioned,
    /// Other sessions kept their locks on the tables.
    #[error(
        "other sessions kept locks on the outbox tables for a minute, and nothing was changed: {holders}; wait until they \
         have ended, or end one with `SELECT pg_terminate_backend(<pid>)`, and try again"
    )]
    #[non_exhaustive]
    Locked {
        /// Process ids and queries of these sessions.
        holders: String,
    },
    /// The database does not check that its texts are valid in their encoding.
    #[error(
        "this database has the encoding {encoding}, which lets texts in that are not UTF-8 and that nobody can send to \
         Kafka: move the tables to a database with another encoding (CREATE DATABASE <name> ENCODING 'UTF8' TEMPLATE \
         template0, then pg_dump and pg_restore)"
    )]
    #[non_exhaustive]
    Encoding {
        /// What the server calls it.
        encoding: String,
    },
    /// The database could not be reached, or refused the change.
    #[error("the outbox tables could not be checked or changed")]
    Database(#[from] sqlx::Error),
}
