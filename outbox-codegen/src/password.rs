//! The database's password in a file, which may be renewed at any time.

use std::fs;
use std::io;
use std::path::Path;

/// The file's first line. The error names the file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(named)?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        Some(_) | None => Err(named(io::Error::other("it is empty"))),
    }
}
