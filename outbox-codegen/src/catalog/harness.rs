//! A program of a few lines that is linked with the crate and prints its catalog.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::Message;
use outbox_runtime::catalog::CatalogDocument;
use serde::Deserialize;

use super::build::{Built, Library, UNWIND};
use super::package::Chosen;
use crate::failure::Failure;

/// What the program prints.
#[derive(Deserialize)]
#[serde(untagged)]
enum Report {
    Printed(Printed),
    Faults { faults: Vec<String> },
}

/// The events that are wanted, and how many events each other crate has.
#[derive(Deserialize)]
pub(super) struct Printed {
    pub(super) document: CatalogDocument,
    pub(super) others: BTreeMap<String, usize>,
}

/// Links the program, or takes the one of the last time if nothing has changed, and reads what it prints.
pub(super) fn run(chosen: &Chosen, built: &Built) -> Result<Printed, Failure> {
    let directory = chosen
        .target_directory
        .join("outbox-catalog")
        .join(key(chosen, built));
    write(&directory, chosen, built).map_err(|error| {
        Failure::failed(format!(
            "cannot write the catalog's program to `{}`",
            directory.display()
        ))
        .because(error)
    })?;
    let executable = link(&directory, chosen, built)?;
    match parse(&print(&executable)?)? {
        Report::Printed(printed) => Ok(printed),
        Report::Faults { faults } => Err(Failure::failed(format!(
            "the events of `{}` contradict each other:\n  {}",
            chosen.name(),
            faults.join("\n  ")
        ))),
    }
}

/// A directory for each way in which the package is built, so that one does not undo what the other has linked.
fn key(chosen: &Chosen, built: &Built) -> String {
    let mut hasher = DefaultHasher::new();
    for library in linked(built) {
        library.rlib.hash(&mut hasher);
    }
    built.listed.hash(&mut hasher);
    format!("{}-{:016x}", chosen.name(), hasher.finish())
}

fn linked(built: &Built) -> impl Iterator<Item = &Library> {
    built.libraries.iter().chain([&built.runtime])
}

fn write(directory: &Path, chosen: &Chosen, built: &Built) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    replace(&directory.join("Cargo.toml"), MANIFEST)?;
    replace(&directory.join("main.rs"), &program(chosen, built)?)
}

const MANIFEST: &str = "\
# Written by `outbox catalog`.
[package]
name = \"outbox-catalog\"
version = \"0.0.0\"
edition = \"2021\"

[[bin]]
name = \"outbox-catalog\"
path = \"main.rs\"

[profile.dev]
debug = false

[workspace]
";

/// Cargo does not know of the libraries, so their state stands in the program: it is linked anew when that changes.
fn program(chosen: &Chosen, built: &Built) -> io::Result<String> {
    let mut uses = String::new();
    let mut state = String::new();
    for (number, library) in built.libraries.iter().enumerate() {
        uses += &format!("use library_{number} as _; // {}\n", library.name);
    }
    for library in linked(built) {
        let file = fs::metadata(&library.rlib)?;
        state += &format!(
            "// {} {} {:?}\n",
            library.rlib.display(),
            file.len(),
            file.modified()?
        );
    }
    Ok(format!(
        "// Written by `outbox catalog`.\n{uses}\nfn main() {{\n    println!(\"{{}}\", \
         outbox_runtime::__private::catalog_report({:?}, &{:?}));\n}}\n{state}",
        chosen.name(),
        built.listed().map(|library| &library.name).collect::<Vec<_>>()
    ))
}

/// Writes what is new: cargo looks at the time of a file.
fn replace(path: &Path, contents: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == contents) {
        return Ok(());
    }
    fs::write(path, contents)
}

fn link(directory: &Path, chosen: &Chosen, built: &Built) -> Result<PathBuf, Failure> {
    let mut cargo = chosen.cargo("rustc");
    cargo
        .args([
            "--quiet",
            "--message-format",
            "json-render-diagnostics",
            "--config",
            UNWIND,
        ])
        .arg("--manifest-path")
        .arg(directory.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(directory.join("target"))
        .arg("--");
    for (number, library) in built.libraries.iter().enumerate() {
        cargo
            .arg("--extern")
            .arg(external(&format!("library_{number}"), &library.rlib));
    }
    cargo
        .arg("--extern")
        .arg(external("outbox_runtime", &built.runtime.rlib));
    for path in &built.search {
        let mut search = std::ffi::OsString::from("dependency=");
        search.push(path);
        cargo.arg("-L").arg(search);
    }
    cargo.args(built.native.iter().flat_map(|path| ["-L", path]));
    let output = cargo
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::failed("cannot run cargo").because(error))?;
    let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    if !output.status.success() {
        return Err(cannot_link(chosen, &stderr));
    }
    let executable = Message::parse_stream(output.stdout.as_slice()).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) => artifact.executable,
        _ => None,
    });
    executable
        .map(Into::into)
        .ok_or_else(|| cannot_link(chosen, &stderr))
}

fn external(name: &str, path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(name);
    text.push("=");
    text.push(path);
    text
}

fn cannot_link(chosen: &Chosen, stderr: &str) -> Failure {
    let name = chosen.name();
    if stderr.contains("catalog_report") || stderr.contains("__private") {
        return Failure::failed(format!(
            "this program cannot read the catalog of the outbox-runtime that `{name}` uses"
        ))
        .advise(format!(
            "use the same version of both: this program has version {}",
            env!("CARGO_PKG_VERSION")
        ));
    }
    Failure::failed(format!("cannot link the catalog's program with `{name}`")).because(stderr.to_owned())
}

fn print(executable: &Path) -> Result<String, Failure> {
    let failed = || Failure::failed("the catalog's program failed");
    let output = Command::new(executable)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed().because(error))?;
    if !output.status.success() {
        return Err(failed().because(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last line: the crate may have code that runs before `main`, and prints.
fn parse(printed: &str) -> Result<Report, Failure> {
    let line = printed.lines().next_back().unwrap_or_default();
    serde_json::from_str(line)
        .map_err(|error| Failure::failed("cannot read the output of the catalog's program").because(error))
}
