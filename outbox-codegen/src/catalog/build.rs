//! The package as its own workspace builds it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Artifact, Message, TargetKind};

use super::CatalogSource;
use super::package::Chosen;
use crate::failure::Failure;
use crate::say::say_as_is;

/// The package's build.
pub(super) struct Built {
    /// The package's own library first, then those of packages that were named, then the libraries of the workspace, and
    /// others with a path, that it depends on.
    pub(super) libraries: Vec<Library>,
    /// How many of them, from the first one, are those whose events are wanted.
    pub(super) listed: usize,
    /// The outbox-runtime that they are built with.
    pub(super) runtime: Library,
    /// Where the compiler finds what they depend on.
    pub(super) search: BTreeSet<PathBuf>,
    /// `-L` of what build scripts have made.
    pub(super) native: BTreeSet<String>,
}

impl Built {
    /// The libraries whose events are wanted, the package's own first.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Library> {
        self.libraries.iter().take(self.listed)
    }
}

/// One compiled library.
pub(super) struct Library {
    /// The crate's name.
    pub(super) name: String,
    pub(super) package: String,
    pub(super) rlib: PathBuf,
    pub(super) features: Vec<String>,
}

/// So that the program can be linked with it, also where a profile says `abort`. Where none does it changes nothing.
pub(super) const UNWIND: &str = "profile.dev.panic=\"unwind\"";

/// Builds the package's library; cargo's words go to stderr, and the compiler's about errors.
pub(super) fn build(chosen: &Chosen, source: &CatalogSource) -> Result<Built, Failure> {
    let name = chosen.name();
    let mut cargo = chosen.cargo("build");
    cargo
        // By its whole identity: a dependency may have the same name.
        .args([
            "--lib",
            "--package",
            &chosen.package.id.repr,
            "--message-format",
            "json",
        ])
        .args(["--config", UNWIND, "--manifest-path"])
        .arg(&chosen.package.manifest_path)
        .args(
            source
                .features
                .iter()
                .flat_map(|features| ["--features", features]),
        )
        .args(source.all_features.then_some("--all-features"))
        .args(source.no_default_features.then_some("--no-default-features"))
        // Whoever waits at a terminal wants to see for what.
        .args((!io::stderr().is_terminal()).then_some("--quiet"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let cannot_run = |error| Failure::failed("cannot run cargo").because(error);
    let mut process = cargo.spawn().map_err(cannot_run)?;
    let mut collected = Collected::default();
    if let Some(stdout) = process.stdout.take() {
        for message in Message::parse_stream(BufReader::new(stdout)) {
            collected.take(message.map_err(cannot_run)?);
        }
    }
    if !process.wait().map_err(cannot_run)?.success() {
        return Err(Failure::failed(format!("`{name}` does not compile: see above")));
    }
    collected.sort_out(chosen, &source.include)
}

#[derive(Default)]
struct Collected {
    artifacts: Vec<Artifact>,
    native: BTreeSet<String>,
}

impl Collected {
    fn take(&mut self, message: Message) {
        match message {
            Message::CompilerArtifact(artifact) => self.artifacts.push(artifact),
            Message::BuildScriptExecuted(script) => {
                self.native
                    .extend(script.linked_paths.iter().map(ToString::to_string));
            }
            // Warnings are for whoever works on the crate.
            Message::CompilerMessage(diagnostic) if diagnostic.message.level == DiagnosticLevel::Error => {
                say_as_is(diagnostic.message.rendered.unwrap_or(diagnostic.message.message));
            }
            _ => {}
        }
    }

    fn sort_out(self, chosen: &Chosen, include: &[String]) -> Result<Built, Failure> {
        let name = chosen.name();
        let is_lib = |artifact: &&Artifact| {
            let kinds = [TargetKind::Lib, TargetKind::RLib];
            artifact.target.kind.iter().any(|kind| kinds.contains(kind)) && rlib(artifact).is_some()
        };
        let libraries: Vec<&Artifact> = self.artifacts.iter().filter(is_lib).collect();
        let own = libraries
            .iter()
            .find(|artifact| artifact.package_id == chosen.package.id);
        let own = own.ok_or_else(|| Failure::failed(format!("cargo did not build a library of `{name}`")))?;

        let is_runtime = |artifact: &&&Artifact| artifact.target.name == "outbox_runtime";
        let runtimes: Vec<&Artifact> = once_each(libraries.iter().filter(is_runtime).copied(), own);
        let runtime = library(the_only_runtime(name, &runtimes)?);
        let is_other = |artifact: &&&Artifact| artifact.package_id != own.package_id && !is_runtime(artifact);
        let others = once_each(libraries.iter().filter(is_other).copied(), own);
        let (named, others): (Vec<&Artifact>, Vec<&Artifact>) = others.into_iter().partition(|artifact| {
            let name = package_of(artifact);
            include.contains(&name)
        });
        let with_path = |artifact: &&Artifact| artifact.package_id.repr.starts_with("path+");
        let others: Vec<&Artifact> = others.into_iter().filter(with_path).collect();
        refuse_unknown(chosen, include, &named, &others)?;
        let listed = std::iter::once(*own).chain(named);
        let listed: Vec<Library> = listed.filter_map(library).collect();
        Ok(Built {
            listed: listed.len(),
            libraries: listed
                .into_iter()
                .chain(others.into_iter().filter_map(library))
                .collect(),
            runtime: runtime
                .ok_or_else(|| Failure::failed("cargo did not build a library of outbox-runtime"))?,
            search: self
                .artifacts
                .iter()
                .flat_map(|artifact| &artifact.filenames)
                .filter_map(|file| Some(file.parent()?.into()))
                .collect(),
            native: self.native,
        })
    }
}

fn library(artifact: &Artifact) -> Option<Library> {
    Some(Library {
        name: artifact.target.name.replace('-', "_"),
        package: package_of(artifact),
        rlib: rlib(artifact)?,
        features: artifact.features.clone(),
    })
}

/// The runtime, if the package is built with one and only one.
fn the_only_runtime<'a>(name: &str, runtimes: &[&'a Artifact]) -> Result<&'a Artifact, Failure> {
    match runtimes {
        [runtime] => Ok(runtime),
        [] => Err(Failure::usage(format!(
            "`{name}` does not depend on outbox-runtime, so it has no events"
        ))
        .advise("run `cargo add outbox-runtime`, or name the package that declares the events")),
        several => {
            let several: Vec<_> = several
                .iter()
                .map(|runtime| runtime.package_id.repr.as_str())
                .collect();
            Err(Failure::failed(format!(
                "`{name}` is built with several versions of outbox-runtime: {}",
                several.join(", ")
            ))
            .advise("use one version: `cargo tree --invert outbox-runtime` shows which crates require which"))
        }
    }
}

/// Fails if a package that was named is not among those that the package depends on.
fn refuse_unknown(
    chosen: &Chosen,
    include: &[String],
    named: &[&Artifact],
    others: &[&Artifact],
) -> Result<(), Failure> {
    let is_there = |name: &&String| {
        name.as_str() == chosen.name() || named.iter().any(|artifact| package_of(artifact) == **name)
    };
    let Some(unknown) = include.iter().find(|name| !is_there(name)) else {
        return Ok(());
    };
    let there: Vec<String> = others.iter().map(|artifact| package_of(artifact)).collect();
    Err(Failure::usage(format!(
        "`{}` does not depend on a library of a package `{unknown}`, so the events of `{unknown}` cannot be included",
        chosen.name()
    ))
    .advise(if there.is_empty() {
        "write the package's name as in its own Cargo.toml, and add it to the dependencies".to_owned()
    } else {
        format!(
            "write the package's name as in its own Cargo.toml; there are: {}",
            there.join(", ")
        )
    }))
}

/// The name of an artifact's package: behind the last `#`, or the last part of the path before it.
fn package_of(artifact: &Artifact) -> String {
    let id = &artifact.package_id.repr;
    let (source, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None if fragment.starts_with(|first: char| first.is_ascii_digit()) || fragment.is_empty() => source
            .split('?')
            .next()
            .and_then(|path| path.rsplit('/').next())
            .unwrap_or_default()
            .to_owned(),
        None => fragment.to_owned(),
    }
}

/// Each package once. One that is also built for build scripts is there twice: the one that is built as the package
/// itself is the one that it links.
fn once_each<'a>(artifacts: impl Iterator<Item = &'a Artifact>, own: &Artifact) -> Vec<&'a Artifact> {
    let mut once: BTreeMap<&str, &Artifact> = BTreeMap::new();
    for artifact in artifacts {
        let there = once.entry(&artifact.package_id.repr).or_insert(artifact);
        if there.profile != own.profile {
            *there = artifact;
        }
    }
    once.into_values().collect()
}

/// The library's file: the one whose name says how it was built, rather than the copy that the next build replaces.
fn rlib(artifact: &Artifact) -> Option<PathBuf> {
    let of_kind = |extension: &str| {
        artifact
            .filenames
            .iter()
            .find(|file| file.extension() == Some(extension))
            .map(|file| file.as_std_path())
    };
    let lasting = of_kind("rmeta")
        .map(|rmeta| rmeta.with_extension("rlib"))
        .filter(|rlib| rlib.is_file());
    lasting.or_else(|| of_kind("rlib").map(Path::to_owned))
}
