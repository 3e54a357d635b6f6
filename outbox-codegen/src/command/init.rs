//! `outbox init`: what an existing service needs to begin.

use std::path::Path;

use super::{generate, print};
use crate::Exit;
use crate::arguments::shared::{Partitions, TableNames};
use crate::arguments::{Format, GenerateMigration, Init as Arguments};
use crate::artifact::{self, Added};
use crate::failure::Failure;
use crate::init::{Init, Manifest};

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let manifest = Manifest::read(&arguments.manifest_path)?;
    let dialect = arguments.database.into();
    let toolkit = arguments.toolkit.as_deref().map(toolkit).transpose()?;
    let init = Init {
        manifest: &manifest,
        dialect,
        toolkit: toolkit.as_deref(),
    };
    let files = init.files();
    for added in artifact::add(&manifest.directory, &files)? {
        match added {
            Added::Written(path) => print(format_args!("wrote {}", path.display()))?,
            Added::Kept(path) => print(format_args!("kept {}, which was there", path.display()))?,
        }
    }
    generate::migration(&GenerateMigration {
        database: arguments.database,
        dir: manifest.directory.join("migrations"),
        tables: TableNames::default(),
        partitions: Partitions::new(None),
        format: Format::Sqlx,
        down_revision: None,
        check: false,
        force: false,
    })?;
    print(format_args!("\n{}", init.lines()))?;
    Ok(Exit::Done)
}

/// The toolkit's directory, as it is called from everywhere.
fn toolkit(path: &Path) -> Result<std::path::PathBuf, Failure> {
    let found = path
        .canonicalize()
        .ok()
        .filter(|path| path.join("outbox-runtime/Cargo.toml").exists());
    found.ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is not the directory of the toolkit's sources",
            path.display()
        ))
        .advise("name the directory that outbox-runtime is in")
    })
}
