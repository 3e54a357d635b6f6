//! Servers for tests: those that the environment names, else local programs, else containers. What is started here is
//! started once for all tests of a process, and ends with it.

#[cfg(feature = "testcontainers")]
mod containers;
#[cfg(feature = "kafka")]
mod kafka;
mod local;
#[cfg(feature = "postgres")]
mod postgres;

use std::path::PathBuf;
use std::sync::OnceLock;

#[cfg(feature = "kafka")]
pub(super) use kafka::{brokers, given_brokers};
#[cfg(feature = "postgres")]
pub(super) use postgres::server;

/// A server, or why there is none, which all tests of the process report.
type Found<T> = OnceLock<Result<T, String>>;

/// Looks for a server once, in a thread that may wait.
async fn found<T: Clone + Send + Sync + 'static>(
    cell: &'static Found<T>,
    find: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> T {
    let found = tokio::task::spawn_blocking(move || cell.get_or_init(find).clone()).await;
    found
        .expect("looking for a server does not panic")
        .unwrap_or_else(|why| panic!("{why}"))
}

/// The value of a variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where a program is that the shell would find.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())?;
    // The folder that it is really in has the others, too.
    program.canonicalize().ok()
}
