//! The first files of an outbox in an existing service, and the lines that a person runs or pastes into its own.

mod event;
mod lines;
mod migrations;
mod path;
mod service;

use std::path::Path;

use outbox_runtime::schema::Dialect;

use crate::artifact::Artifact;
use crate::config::{FILE_NAME, SCHEMA_NAME, schema_file};
pub(crate) use migrations::{Place, find as migrations};
pub(crate) use service::Service;

/// What is written and printed for one service.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub(crate) service: &'a Service,
    pub(crate) dialect: Dialect,
    pub(crate) migrations: &'a Place,
    /// Where the toolkit's own sources are, where it is not taken from a registry.
    pub(crate) toolkit: Option<&'a Path>,
}

impl Init<'_> {
    /// The files beside the manifest and the library, but for the migration.
    pub(crate) fn files(&self) -> Vec<Artifact> {
        let mut files = vec![
            Artifact {
                name: FILE_NAME.to_owned(),
                contents: self.configuration(),
            },
            schema_file(),
            Artifact {
                name: self.below(&self.source_directory().join("outbox_events.rs")),
                contents: event::source(&self.service.package),
            },
        ];
        if self.service.library_root.is_none() {
            files.push(Artifact {
                name: "src/lib.rs".to_owned(),
                contents: format!(
                    "//! The library that `outbox catalog` and the service use.\n\n{}\n",
                    event::MODULE
                ),
            });
        }
        files
    }

    /// Where the modules of the library are.
    fn source_directory(&self) -> std::path::PathBuf {
        let library = self.service.library_root.as_deref().and_then(Path::parent);
        library.map_or_else(|| self.service.directory.join("src"), Path::to_owned)
    }

    /// A path as it is seen from the manifest.
    fn below(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.service.directory).unwrap_or(path);
        below.display().to_string()
    }

    fn configuration(&self) -> String {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let dir = path::relative(
            &whole(&self.service.directory),
            &whole(&self.migrations.directory),
        );
        let dir = match dir.to_string_lossy().replace('\\', "/") {
            usual if usual == "migrations" => String::new(),
            other => format!("dir = {other:?}\n"),
        };
        format!(
            "#:schema ./{SCHEMA_NAME}
# What `outbox generate --all` and `outbox topics` work from. The file named above tells editors what may stand here.

[migrations]
database = \"{}\"
{dir}format = \"{}\"

# How topics are set up. Which there are is said by the events. What is left out is left to the broker.
[topics.defaults]
partitions = 6
# replication_factor = 3
# min_insync_replicas = 2
# retention = \"7days\"
",
            self.dialect, self.migrations.format
        )
    }
}
