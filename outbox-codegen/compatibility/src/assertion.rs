//! One line in a service's tests that keeps its events compatible.

#![allow(clippy::panic, reason = "a panic is a test's report")]

use std::path::Path;

use outbox_runtime::catalog::{Catalog, SchemaFile};

use crate::{Compatibility, compare};

/// Panics unless the events of this program are compatible, in both directions, with the schemas in the
/// directory.
///
/// The files are those of `outbox generate schemas`. A relative path is one from the package's directory, which is
/// where `cargo test` runs a test:
///
/// ```no_run
/// #[test]
/// fn events_are_compatible() {
///     outbox_compatibility::assert_compatible("schemas");
/// }
/// ```
///
/// What is allowed and what is not: [the crate's page](crate).
///
/// # Panics
/// With the changes that break something, why, and what to do; or if the files cannot be read.
#[track_caller]
pub fn assert_compatible(directory: impl AsRef<Path>) {
    let directory = directory.as_ref();
    let compared = SchemaFile::read_all(directory)
        .map_err(|error| error.to_string())
        .and_then(|old| {
            let catalog = Catalog::global()
                .document("")
                .map_err(|error| error.to_string())?;
            compare(&old, &catalog, Compatibility::Full).map_err(|error| error.to_string())
        });
    match compared {
        Ok(report) if report.compatible => {}
        Ok(report) => panic!("the events differ from {}:\n{report}", directory.display()),
        Err(error) => panic!(
            "the events cannot be compared with {}: {error}",
            directory.display()
        ),
    }
}
