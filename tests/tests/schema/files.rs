//! The migration as the files that other tools read.

use std::path::Path;

use outbox_runtime::Tables;
use outbox_runtime::schema::{Dialect, Migration};
use sqlx::migrate::Migrator;
use tempfile::TempDir;

/// A directory that holds the two files of each migration.
pub(crate) fn written(dialect: Dialect, tables: &Tables) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let migration = Migration::create(dialect, tables);
    std::fs::write(dir.path().join(migration.up_file()), migration.up()).unwrap();
    std::fs::write(dir.path().join(migration.down_file()), migration.down()).unwrap();
    dir
}

/// What sqlx-cli and `sqlx::migrate!` run.
pub(crate) async fn migrator(dir: &Path) -> Migrator {
    Migrator::new(dir).await.unwrap()
}
