//! The migration as the files that other tools read.

use std::path::Path;

use outbox_runtime::Tables;
use outbox_runtime::schema::{Dialect, Migration, SCHEMA_VERSION};
use sqlx::migrate::Migrator;
use tempfile::TempDir;

/// A directory that holds the files of the present version.
pub(crate) fn written(dialect: Dialect, tables: &Tables) -> TempDir {
    written_since(SCHEMA_VERSION, dialect, tables)
}

/// A directory that began with an older version of the tables, and has what leads from there to the present one.
pub(crate) fn written_since(first: i32, dialect: Dialect, tables: &Tables) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for migration in Migration::history(dialect, tables, first) {
        std::fs::write(dir.path().join(migration.up_file()), migration.up()).unwrap();
        std::fs::write(dir.path().join(migration.down_file()), migration.down()).unwrap();
    }
    dir
}

/// What sqlx-cli and `sqlx::migrate!` run.
pub(crate) async fn migrator(dir: &Path) -> Migrator {
    Migrator::new(dir).await.unwrap()
}
