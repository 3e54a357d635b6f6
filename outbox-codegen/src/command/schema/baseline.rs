//! The schemas of before: a directory, or one of a git revision.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use outbox_runtime::catalog::SchemaFile;

use crate::failure::Failure;

const HOW: &str = "write them with `outbox generate schemas`, or name another place with --against";

/// Reads `git:<revision>[:<directory>]`, or the directory itself.
pub(super) fn read(against: &str) -> Result<Vec<SchemaFile>, Failure> {
    match against.strip_prefix("git:") {
        None => directory(Path::new(against)),
        Some(place) => {
            let (revision, directory) = place.split_once(':').unwrap_or((place, "schemas"));
            of_revision(revision, directory)
        }
    }
}

fn directory(path: &Path) -> Result<Vec<SchemaFile>, Failure> {
    SchemaFile::read_all(path).map_err(|error| {
        Failure::usage(format!(
            "the schemas of before cannot be read from `{}`",
            path.display()
        ))
        .because(error)
        .advise(HOW)
    })
}

fn of_revision(revision: &str, directory: &str) -> Result<Vec<SchemaFile>, Failure> {
    let place = format!("git:{revision}:{directory}");
    let commit = format!("{revision}^{{commit}}");
    // A revision that begins with `-` would be taken for an option.
    let commit = git(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).map_err(|error| {
        Failure::usage(format!("git knows no revision `{revision}` here"))
            .because(error)
            .advise("fetch it first: a shallow clone has the last commit only")
    })?;
    let commit = commit.trim();
    // Relative to where we are, as the directory itself would be.
    let below = format!("./{}/", directory.trim_end_matches('/'));
    let names = git(["ls-tree", "-z", "--name-only", commit, "--", &below])
        .map_err(|error| Failure::failed(format!("git cannot list `{place}`")).because(error))?;
    let names: Vec<&str> = names.split('\0').filter(|name| name.ends_with(".json")).collect();
    if names.is_empty() {
        return Err(Failure::usage(format!("there is no schema file in `{place}`")).advise(HOW));
    }
    let read = |name: &&str| {
        let failed = || format!("`git:{revision}:{name}` cannot be read");
        let text = git(["show", &format!("{commit}:./{name}")])
            .map_err(|error| Failure::failed(failed()).because(error))?;
        SchemaFile::parse(&text).map_err(|error| Failure::usage(failed()).because(error).advise(HOW))
    };
    names.iter().map(read).collect()
}

fn git<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let output = Command::new("git")
        .args(arguments.into_iter().map(OsStr::new))
        .output()
        .map_err(|error| format!("git cannot be run: {error}"))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| "it is not UTF-8".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => Err("git said no".to_owned()),
        said => Err(said.to_owned()),
    }
}
