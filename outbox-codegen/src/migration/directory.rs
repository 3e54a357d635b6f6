//! What a directory holds of one log's migrations.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use outbox_runtime::Tables;
use outbox_runtime::schema::Dialect;

use super::header::Header;
use crate::failure::Failure;

/// A generated file of the log, under whatever name it has now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) header: Header,
}

/// The log's files, by name. A directory that is not there holds none.
pub(super) fn read(directory: &Path, dialect: Dialect, tables: &Tables) -> Result<Vec<Found>, Failure> {
    let unreadable = |error| Failure::failed(format!("cannot read `{}`", directory.display())).because(error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !(name.ends_with(".sql") || name.ends_with(".py")) || !entry.path().is_file() {
            continue;
        }
        let header = header(&entry.path()).map_err(unreadable)?;
        found.extend(header.map(|header| Found { name, header }));
    }
    found.retain(|file| file.header.dialect == dialect && file.header.tables == *tables);
    found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(found)
}

fn header(path: &Path) -> io::Result<Option<Header>> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let (Some(Ok(first)), Some(Ok(second))) = (lines.next(), lines.next()) else {
        return Ok(None);
    };
    Ok(Header::parse(&first, &second))
}
