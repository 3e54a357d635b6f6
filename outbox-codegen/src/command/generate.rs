//! `outbox generate …`: catalog in, files out.

use outbox_runtime::Tables;
use outbox_runtime::schema::{Dialect, Migration};

use super::print;
use crate::Exit;
use crate::arguments::{Generate, GenerateMigration, Generated};
use crate::artifact::{self, Artifact};
use crate::failure::Failure;

pub(crate) fn run(arguments: Generate) -> Result<Exit, Failure> {
    match arguments.what {
        Generated::Migration(arguments) => migration(arguments),
    }
}

fn migration(arguments: GenerateMigration) -> Result<Exit, Failure> {
    let dialect = arguments.database.into();
    let artifacts = migration_files(dialect, &arguments.tables.tables(dialect)?);
    if arguments.check {
        artifact::check(&arguments.dir, &artifacts)?;
        print(format_args!("the {} files are up to date", artifacts.len()))?;
        return Ok(Exit::Done);
    }
    let written = artifact::write(&arguments.dir, &artifacts, arguments.force)?;
    if written.is_empty() {
        print(format_args!(
            "nothing to do: the {} files are up to date",
            artifacts.len()
        ))?;
    }
    for path in written {
        print(format_args!("wrote {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// The two files that make the tables.
fn migration_files(dialect: Dialect, tables: &Tables) -> [Artifact; 2] {
    let migration = Migration::create(dialect, tables);
    [
        Artifact {
            name: migration.up_file(),
            contents: migration.up().to_owned(),
        },
        Artifact {
            name: migration.down_file(),
            contents: migration.down().to_owned(),
        },
    ]
}
