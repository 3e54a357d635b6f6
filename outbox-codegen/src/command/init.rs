//! `outbox init`: what an existing service needs to begin.

use std::path::Path;

use outbox_runtime::Tables;

use super::generate::migration_files;
use super::print;
use crate::Exit;
use crate::arguments::Init as Arguments;
use crate::artifact::{self, Added, Artifact};
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
    let migration = migration_files(dialect, &Tables::default());
    let migration = migration.into_iter().map(|file| Artifact {
        name: format!("migrations/{}", file.name),
        ..file
    });
    let files: Vec<Artifact> = init.files().into_iter().chain(migration).collect();
    for added in artifact::add(&manifest.directory, &files)? {
        match added {
            Added::Written(path) => print(format_args!("wrote {}", path.display()))?,
            Added::Kept(path) => print(format_args!("kept {}, which was there", path.display()))?,
        }
    }
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
