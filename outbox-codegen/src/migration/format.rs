//! The formats that migrations are written in.

use outbox_runtime::schema::Migration;

use super::alembic;
use super::header::{Direction, Header};
use crate::artifact::Artifact;
use crate::config::Format;

/// The files of a migration, the way up first. `header` is that of the way up.
pub(super) fn files(
    header: &Header,
    migration: &Migration,
    version: &str,
    down_revision: &str,
) -> Vec<(Direction, Artifact)> {
    let name = format!("{version}_{}", migration.name());
    let up = script(header, migration.up());
    let down = Header {
        direction: Direction::Down,
        ..header.clone()
    };
    let files = match header.format {
        Format::Sqlx => vec![
            (Direction::Up, format!("{name}.up.sql"), up),
            (
                Direction::Down,
                format!("{name}.down.sql"),
                script(&down, migration.down()),
            ),
        ],
        Format::Sql => vec![
            (Direction::Up, format!("V{version}__{}.sql", migration.name()), up),
            (
                Direction::Down,
                format!("{name}.down.sql"),
                script(&down, migration.down()),
            ),
        ],
        Format::Alembic => {
            let revision = alembic::revision(migration, &up, header.dialect, down_revision);
            vec![(Direction::Up, format!("{name}.py"), revision)]
        }
    };
    files
        .into_iter()
        .map(|(direction, name, contents)| (direction, Artifact { name, contents }))
        .collect()
}

/// The SQL with its header, and with the format in the command of the first line.
fn script(header: &Header, sql: &str) -> String {
    let sql = match header.format {
        Format::Sqlx => sql.to_owned(),
        format => sql.replacen("`.\n", &format!(" --format {format}`.\n"), 1),
    };
    header.put_into(&sql)
}
