//! The formats that migrations are written in.

use outbox_runtime::schema::{Dialect, Migration};

use super::alembic;
use super::header::Direction;
use crate::artifact::Artifact;
use crate::config::Format;

/// The files of a migration, the way up first.
pub(super) fn files(
    format: Format,
    migration: &Migration,
    version: &str,
    dialect: Dialect,
    down_revision: &str,
) -> Vec<(Direction, Artifact)> {
    let artifact = |name, contents| Artifact { name, contents };
    let name = format!("{version}_{}", migration.name());
    match format {
        Format::Sqlx => vec![
            (
                Direction::Up,
                artifact(format!("{name}.up.sql"), migration.up().to_owned()),
            ),
            (
                Direction::Down,
                artifact(format!("{name}.down.sql"), migration.down().to_owned()),
            ),
        ],
        Format::Sql => vec![
            (
                Direction::Up,
                artifact(
                    format!("V{version}__{}.sql", migration.name()),
                    headed(migration.up(), format),
                ),
            ),
            (
                Direction::Down,
                artifact(format!("{name}.down.sql"), headed(migration.down(), format)),
            ),
        ],
        Format::Alembic => vec![(
            Direction::Up,
            artifact(
                format!("{name}.py"),
                alembic::revision(migration, dialect, down_revision),
            ),
        )],
    }
}

/// The SQL, with the format in the command that its first line tells.
pub(super) fn headed(sql: &str, format: Format) -> String {
    sql.replacen("`.\n", &format!(" --format {format}`.\n"), 1)
}
