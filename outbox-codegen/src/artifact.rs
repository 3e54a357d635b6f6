//! The one place that writes generated files, and checks them.

mod checksum;
mod former;
mod place;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Exit;
use crate::failure::Failure;
pub(crate) use checksum::generated_by;
use checksum::{is_untouched, with_checksum, without_checksum};
pub(crate) use former::{Former, Surplus, remove};
pub(crate) use place::refuse_shared;

/// A generated file: the same input gives the same bytes, everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The name within the directory that the user chose.
    pub(crate) name: String,
    pub(crate) contents: String,
}

/// How a file on disk compares with what would be written.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Current,
    Missing,
    /// As it was generated once, from other input or by another version.
    Outdated(Difference),
    /// Changed by somebody, or not generated at all.
    Edited(Difference),
}

/// The first line in which two files differ.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    line: usize,
    there: Option<String>,
    generated: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |line: &Option<String>| {
            line.as_ref()
                .map_or("(the end of the file)".into(), |l| format!("`{l}`"))
        };
        write!(
            f,
            "line {} is {}, not {}",
            self.line,
            shown(&self.there),
            shown(&self.generated)
        )
    }
}

/// Writes what is missing or out of date and returns the paths written: none if all was there. A file that was edited
/// is only overwritten by `force`; without it nothing is written.
pub(crate) fn write(directory: &Path, artifacts: &[Artifact], force: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut wanting = Vec::new();
    let mut edited = Vec::new();
    for artifact in artifacts {
        let path = directory.join(&artifact.name);
        match inspect(&path, artifact)? {
            State::Current => {}
            State::Edited(difference) if !force => edited.push(format!("{}: {difference}", path.display())),
            State::Missing | State::Outdated(_) | State::Edited(_) => wanting.push((path, artifact)),
        }
    }
    if !edited.is_empty() {
        return Err(Failure::failed(format!(
            "these files exist and were not generated, or were edited:\n  {}",
            edited.join("\n  ")
        ))
        .advise("keep them if the change is intended or already applied; --force overwrites them"));
    }
    fs::create_dir_all(directory).map_err(|error| cannot("make the directory", directory, error))?;
    for (path, artifact) in &wanting {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot("make the directory", parent, error))?;
        }
        replace(path, &with_checksum(&artifact.contents)).map_err(|error| cannot("write", path, error))?;
    }
    Ok(wanting.into_iter().map(|(path, _)| path).collect())
}

/// What became of a file that is only written where there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Written(PathBuf),
    Kept(PathBuf),
}

/// Writes what is missing, and leaves every file alone that is there, whatever it holds.
pub(crate) fn add(directory: &Path, artifacts: &[Artifact]) -> Result<Vec<Added>, Failure> {
    let mut added = Vec::new();
    for artifact in artifacts {
        let path = directory.join(&artifact.name);
        if path.exists() {
            added.push(Added::Kept(path));
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot("make the directory", parent, error))?;
        }
        replace(&path, &with_checksum(&artifact.contents)).map_err(|error| cannot("write", &path, error))?;
        added.push(Added::Written(path));
    }
    Ok(added)
}

/// What is there and differs, a line for each file.
pub(crate) fn edited(directory: &Path, artifacts: &[Artifact]) -> Result<Vec<String>, Failure> {
    let mut edited = Vec::new();
    for artifact in artifacts {
        let path = directory.join(&artifact.name);
        if let State::Outdated(difference) | State::Edited(difference) = inspect(&path, artifact)? {
            edited.push(format!("{}: {difference}", path.display()));
        }
    }
    Ok(edited)
}

/// Writes what is missing, leaves what is there as it is, and returns the paths written.
pub(crate) fn write_missing(directory: &Path, artifacts: &[Artifact]) -> Result<Vec<PathBuf>, Failure> {
    let missing = artifacts
        .iter()
        .filter(|artifact| !directory.join(&artifact.name).exists());
    write(directory, &missing.cloned().collect::<Vec<_>>(), false)
}

/// Fails with [`Exit::Differences`] if a file is missing, differs or is left over.
pub(crate) fn check(directory: &Path, artifacts: &[Artifact], surplus: &[Surplus]) -> Result<(), Failure> {
    let (mut findings, mut edited) = (Vec::new(), false);
    for artifact in artifacts {
        let path = directory.join(&artifact.name);
        match inspect(&path, artifact)? {
            State::Current => {}
            State::Missing => findings.push(format!("{} is missing", path.display())),
            State::Outdated(difference) => findings.push(format!("{}: {difference}", path.display())),
            State::Edited(difference) => {
                edited = true;
                findings.push(format!("{}: {difference} (edited by hand)", path.display()));
            }
        }
    }
    for Surplus { path, untouched } in surplus {
        let by_hand = if *untouched { "" } else { " (edited by hand)" };
        edited |= !untouched;
        findings.push(format!(
            "{} is obsolete: it is no longer generated{by_hand}",
            path.display()
        ));
    }
    if findings.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the files differ from what would be generated:\n  {}",
        findings.join("\n  ")
    );
    Err(Failure::new(Exit::Differences, message).advise(if edited {
        "run the same command without --check; files edited by hand also need --force"
    } else {
        "run the same command without --check"
    }))
}

fn inspect(path: &Path, artifact: &Artifact) -> Result<State, Failure> {
    let there = match fs::read(path) {
        // git may have changed the line ends.
        Ok(bytes) => String::from_utf8_lossy(&bytes).replace("\r\n", "\n"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(error) => return Err(cannot("read", path, error)),
    };
    let expected = with_checksum(&artifact.contents);
    if there == expected {
        return Ok(State::Current);
    }
    // Checksums differ whenever anything does: a person reads what made them differ.
    let difference = first_difference(&without_checksum(&there).0, &artifact.contents)
        .or_else(|| first_difference(&there, &expected));
    Ok(match difference {
        None => State::Current,
        Some(difference) if is_untouched(&there) => State::Outdated(difference),
        Some(difference) => State::Edited(difference),
    })
}

fn first_difference(there: &str, generated: &str) -> Option<Difference> {
    if there == generated {
        return None;
    }
    let (mut ours, mut theirs) = (generated.split('\n'), there.split('\n'));
    let mut number = 0;
    loop {
        number += 1;
        let (there, generated) = (theirs.next(), ours.next());
        if there != generated || there.is_none() {
            return Some(Difference {
                line: number,
                there: there.map(str::to_owned),
                generated: generated.map(str::to_owned),
            });
        }
    }
}

/// A reader sees the old file or the new one, never half of it.
fn replace(path: &Path, contents: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    fs::write(&unfinished, contents)?;
    fs::rename(&unfinished, path)
}

fn cannot(what: &str, path: &Path, error: io::Error) -> Failure {
    Failure::failed(format!("cannot {what} `{}`", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifacts() -> [Artifact; 2] {
        ["a.sql", "b.sql"].map(|name| Artifact {
            name: name.to_owned(),
            contents: "one\ntwo\n".to_owned(),
        })
    }

    #[test]
    fn what_is_missing_is_written_and_what_is_there_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("x/y");
        assert_eq!(write(&below, &artifacts(), false).unwrap().len(), 2);
        assert!(write(&below, &artifacts(), false).unwrap().is_empty());
        fs::remove_file(below.join("b.sql")).unwrap();
        assert_eq!(write(&below, &artifacts(), false).unwrap(), [below.join("b.sql")]);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 2);
    }

    #[test]
    fn an_edited_file_stops_everything_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.sql"), "one\n2\n").unwrap();
        let text = format!("{:?}", write(dir.path(), &artifacts(), false).unwrap_err());
        assert!(
            text.contains("line 2 is `2`, not `two`") && text.contains("Failed"),
            "{text}"
        );
        assert!(!dir.path().join("a.sql").exists());
        assert_eq!(write(dir.path(), &artifacts(), true).unwrap().len(), 2);
        check(dir.path(), &artifacts(), &[]).unwrap();
    }

    /// The file that a version or an input wrote.
    fn generated(body: &str) -> Artifact {
        Artifact {
            name: "a.txt".to_owned(),
            contents: format!("# {}\n{body}", generated_by("outbox generate debezium")),
        }
    }

    #[test]
    fn what_is_out_of_date_is_written_anew_and_what_was_edited_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(dir.path(), &[generated("one\n")], false).unwrap();
        let text = format!("{:?}", check(dir.path(), &[generated("two\n")], &[]).unwrap_err());
        // The line that matters, not the checksum's.
        assert!(
            text.contains("line 2 is `one`, not `two`") && !text.contains("by hand"),
            "{text}"
        );
        // As git may have left it.
        fs::write(&path, fs::read_to_string(&path).unwrap().replace('\n', "\r\n")).unwrap();
        check(dir.path(), &[generated("one\n")], &[]).unwrap();
        let written = write(dir.path(), &[generated("two\n")], false).unwrap();
        assert_eq!(written.as_slice(), std::slice::from_ref(&path));
        check(dir.path(), &[generated("two\n")], &[]).unwrap();

        let edited = fs::read_to_string(&path).unwrap().replace("two", "2");
        fs::write(&path, &edited).unwrap();
        for body in ["two\n", "three\n"] {
            write(dir.path(), &[generated(body)], false).unwrap_err();
            let text = format!("{:?}", check(dir.path(), &[generated(body)], &[]).unwrap_err());
            assert!(
                text.contains("edited by hand") && text.contains("--force"),
                "{text}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        write(dir.path(), &[generated("two\n")], true).unwrap();

        // A checksum that is not the text's own, though all else is.
        let wrong = fs::read_to_string(&path)
            .unwrap()
            .replace("(checksum ", "(checksum 0");
        fs::write(&path, wrong).unwrap();
        let text = format!("{:?}", check(dir.path(), &[generated("two\n")], &[]).unwrap_err());
        assert!(text.contains("line 1 is"), "{text}");
    }

    #[test]
    fn a_check_names_every_file_and_forgives_line_ends() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.sql"), "one\r\ntwo\r\n").unwrap();
        let text = format!("{:?}", check(dir.path(), &artifacts(), &[]).unwrap_err());
        assert!(
            text.contains("b.sql is missing") && !text.contains("a.sql") && text.contains("Differences"),
            "{text}"
        );
        fs::write(dir.path().join("b.sql"), "one\ntwo").unwrap();
        let text = format!("{:?}", check(dir.path(), &artifacts(), &[]).unwrap_err());
        assert!(text.contains("line 3 is (the end of the file), not ``"), "{text}");
    }
}
