//! `outbox init`: what an existing service needs to begin.

use std::path::Path;

use super::{generate, print};
use crate::Exit;
use crate::arguments::shared::{Partitions, TableNames};
use crate::arguments::{GenerateMigration, Init as Arguments};
use crate::artifact::{self, Added};
use crate::config::{ConfigFile, FILE_NAME};
use crate::failure::Failure;
use crate::init::{Init, Service, migrations};

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let service = Service::find(&arguments)?;
    let toolkit = arguments.toolkit.as_deref().map(toolkit).transpose()?;
    // One that is there is kept, whatever is in it.
    let file = ConfigFile::read(&service.directory.join(FILE_NAME)).ok();
    let place = migrations(&service, arguments.migrations.as_deref(), file.as_ref());
    let init = Init {
        service: &service,
        dialect: arguments.database.into(),
        migrations: &place,
        toolkit: toolkit.as_deref(),
    };
    for added in artifact::add(&service.directory, &init.files())? {
        match added {
            Added::Written(path) => print(format_args!("wrote {}", path.display()))?,
            Added::Kept(path) => print(format_args!("kept {}, which exists", path.display()))?,
        }
    }
    generate::migration(&GenerateMigration {
        database: arguments.database,
        dir: place.directory.clone(),
        tables: TableNames::default(),
        partitions: Partitions::new(None),
        format: Some(place.format),
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
        .advise("give the directory that contains outbox-runtime")
    })
}
