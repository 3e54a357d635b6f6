//! The first files of an outbox in an existing service, and the lines that a person pastes into its own.

mod event;
mod lines;
mod manifest;

use std::path::Path;

use outbox_runtime::schema::Dialect;

use crate::artifact::Artifact;
pub(crate) use manifest::Manifest;

/// What is written and printed for one service.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) dialect: Dialect,
    /// Where the toolkit's own sources are, where it is not taken from a registry.
    pub(crate) toolkit: Option<&'a Path>,
}

impl Init<'_> {
    /// The files beside the manifest, but for the migration.
    pub(crate) fn files(&self) -> Vec<Artifact> {
        let mut files = vec![
            Artifact {
                name: crate::config::FILE_NAME.to_owned(),
                contents: self.configuration(),
            },
            Artifact {
                name: "src/outbox_events.rs".to_owned(),
                contents: event::source(&self.manifest.package),
            },
        ];
        if !self.manifest.has_library {
            files.push(Artifact {
                name: "src/lib.rs".to_owned(),
                contents: format!(
                    "//! What `outbox catalog` and the service itself use.\n\n{}\n",
                    event::MODULE
                ),
            });
        }
        files
    }

    fn configuration(&self) -> String {
        format!(
            "# What `outbox generate --all` and `outbox topics` work from; `outbox generate config-schema` writes a
# JSON Schema of this file, for editors.

[migrations]
database = \"{}\"

# How topics are set up. Which there are is said by the events. What is left out is left to the broker.
[topics.defaults]
partitions = 6
# replication_factor = 3
# min_insync_replicas = 2
# retention = \"7days\"
",
            self.dialect
        )
    }
}
