//! The schemas of before: a directory, or one of a git revision.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use outbox_runtime::catalog::SchemaFile;

use crate::failure::Failure;

const HOW: &str = "generate them with `outbox generate schemas`, or choose another directory with --against";

/// What there was; nothing, before the first schemas.
#[derive(Debug)]
pub(super) struct Baseline {
    /// The place as a person would write it.
    pub(super) place: String,
    pub(super) files: Vec<SchemaFile>,
}

/// Reads `git:<revision>[:<directory>]`, or the directory itself. `usual` is where the schemas are by `outbox.toml`.
pub(super) fn read(against: &str, usual: &Path) -> Result<Baseline, Failure> {
    match against.strip_prefix("git:") {
        None => directory(Path::new(against), usual),
        Some(place) => match place.split_once(':') {
            Some((revision, directory)) => of_revision(revision, Path::new(directory), usual),
            None => of_revision(place, usual, usual),
        },
    }
}

fn directory(path: &Path, usual: &Path) -> Result<Baseline, Failure> {
    let place = path.display().to_string();
    let unreadable = || Failure::usage(format!("cannot read the earlier schemas from `{place}`"));
    if !path.exists() && path.file_name() != usual.file_name() {
        return Err(unreadable().because("no such directory").advise(HOW));
    }
    if path.exists() && holds_json(path).map_err(|error| unreadable().because(error).advise(HOW))? {
        let files = SchemaFile::read_all(path).map_err(|error| unreadable().because(error).advise(HOW))?;
        return Ok(Baseline { place, files });
    }
    Ok(Baseline {
        place,
        files: Vec::new(),
    })
}

fn holds_json(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        if entry?
            .path()
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn of_revision(revision: &str, directory: &Path, usual: &Path) -> Result<Baseline, Failure> {
    let place = format!("git:{revision}:{}", directory.display());
    let commit = format!("{revision}^{{commit}}");
    // A revision that begins with `-` would be taken for an option.
    let commit = git(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).map_err(|error| {
        Failure::usage(format!("git does not know the revision `{revision}` here"))
            .because(error)
            .advise("fetch it first: a shallow clone contains only the last commit")
    })?;
    // Relative to where we are, as the directory itself would be.
    let mut below = OsString::from(if directory.is_absolute() { "" } else { "./" });
    below.push(directory);
    below.push("/");
    let arguments = ["ls-tree", "-z", commit.trim(), "--"].map(OsStr::new);
    let listed = git(arguments.into_iter().chain([below.as_os_str()]))
        .map_err(|error| Failure::failed(format!("git cannot list `{place}`")).because(error))?;
    // `<mode> blob <hash>` and, behind a tab, the name.
    let files = listed.split('\0').filter_map(|line| line.split_once('\t'));
    let blobs: Vec<(&str, &str)> = files
        .filter(|(_, name)| name.ends_with(".json"))
        .filter_map(|(object, name)| Some((object.rsplit(' ').next()?, name)))
        .collect();
    if blobs.is_empty() && directory != usual && !directory.exists() {
        return Err(Failure::usage(format!(
            "there is no schema file in `{place}`, and no directory `{}` here",
            directory.display()
        ))
        .advise(HOW));
    }
    let read = |(blob, name): &(&str, &str)| {
        let failed = || format!("cannot read `git:{revision}:{name}`");
        let text =
            git(["cat-file", "blob", blob]).map_err(|error| Failure::failed(failed()).because(error))?;
        SchemaFile::parse(&text).map_err(|error| Failure::usage(failed()).because(error).advise(HOW))
    };
    Ok(Baseline {
        place,
        files: blobs.iter().map(read).collect::<Result<_, _>>()?,
    })
}

fn git(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| "it is not UTF-8".to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => Err("git failed".to_owned()),
        said => Err(said.to_owned()),
    }
}
