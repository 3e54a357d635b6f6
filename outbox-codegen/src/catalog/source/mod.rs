//! What stands in the source, compared with what was registered: nothing goes missing in silence.
//!
//! Registrations vanish where code is not linked or not compiled. The source is therefore read by the compiler's own
//! rules: modules are followed from each target's root, `cfg` is decided as it was for the build, and the compiler's list of
//! files brings what macros and `include!` have added. Events in the package's programs, and in files that no `mod`
//! leads to, are looked for as well: there they are no part of any library.

mod cfg;
mod events;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Target, TargetKind};
use outbox_runtime::catalog::{CatalogDocument, SourceLocation};

use self::cfg::Cfgs;
use self::events::Found;
use self::modules::Walk;
use super::build::{Built, Library};
use super::package::Chosen;
use crate::failure::Failure;
use crate::say::say;

/// Fails if an event is in the source, not disabled by `cfg`, and not in the document.
pub(super) fn compare(chosen: &Chosen, built: &Built, document: &CatalogDocument) -> Result<(), Failure> {
    let registered = Registered::of(document, &chosen.workspace_root);
    let target = cfg::of_target(chosen)?;
    let mut missing = Vec::new();
    let mut known = BTreeSet::new();
    for library in built.listed() {
        let walk = walk_library(library, &target, &chosen.workspace_root);
        missing.extend(registered.lacks(&walk, "it is not registered"));
        for (file, event) in walk.by_hand() {
            say(format_args!(
                "note: {} implements `OutboxEvent` by hand; the catalog contains only derived events",
                registered.place(file, event)
            ));
        }
        known.extend(walk.files());
    }
    if let Some(library) = built.libraries.first() {
        let cfgs = target.with(&library.features, &library.cfgs);
        for program in chosen
            .package
            .targets
            .iter()
            .filter(|target| is_program(target, library))
        {
            let walk = Walk::from(program.src_path.as_std_path(), &cfgs);
            missing.extend(registered.lacks(
                &walk,
                &format!(
                    "it is in the program `{}`, which is not part of the library",
                    program.name
                ),
            ));
            known.extend(walk.files());
        }
        missing.extend(registered.lacks(&orphans(chosen, &known, &cfgs), "no `mod` leads to its file"));
    }
    refuse(chosen, missing)
}

fn refuse(chosen: &Chosen, mut missing: Vec<String>) -> Result<(), Failure> {
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let name = chosen.name();
    Err(Failure::failed(format!(
        "events in the source of `{name}` are missing from its catalog:\n  {}",
        missing.join("\n  ")
    ))
    .advise("move them into the library's modules, or disable them with `#[cfg(…)]`"))
}

/// The library's modules, and what its compiler has read besides.
fn walk_library(library: &Library, target: &Cfgs, workspace_root: &Path) -> Walk {
    let cfgs = target.with(&library.features, &library.cfgs);
    let mut walk = Walk::from(&library.root, &cfgs);
    let listed = library.dep_info.as_deref().map(listed_files).unwrap_or_default();
    for file in listed {
        // Relative to where cargo has run the compiler; elsewhere than in the workspace they are absolute.
        walk.add(&workspace_root.join(file));
    }
    walk
}

/// The Rust files in the compiler's list, which is a makefile: `target: file file`, and each file as a target.
fn listed_files(dep_info: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(dep_info).unwrap_or_default();
    let alone = text.lines().filter_map(|line| line.strip_suffix(':'));
    let paths = alone.map(|path| PathBuf::from(path.replace("\\ ", " ")));
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// A program of the package that is built with these features.
fn is_program(target: &Target, library: &Library) -> bool {
    target.kind.contains(&TargetKind::Bin)
        && target
            .required_features
            .iter()
            .all(|feature| library.features.contains(feature))
}

/// The files below the library's and the programs' folders that belong to no target.
fn orphans(chosen: &Chosen, known: &BTreeSet<PathBuf>, cfgs: &Cfgs) -> Walk {
    let mut known = known.clone();
    let mut folders = BTreeSet::new();
    for target in &chosen.package.targets {
        let root = target.src_path.as_std_path();
        known.extend(Walk::from(root, cfgs).files());
        let of_service = target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::Lib | TargetKind::RLib | TargetKind::Bin));
        // Next to the manifest there is everything.
        folders.extend(
            root.parent()
                .filter(|folder| of_service && *folder != chosen.directory()),
        );
    }
    let mut walk = Walk::of_nothing(cfgs);
    for folder in folders {
        for file in rust_files(folder) {
            if !known.contains(&file) {
                walk.add(&file);
            }
        }
    }
    walk
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // A package of its own, or what cargo makes.
            if !path.join("Cargo.toml").exists() && !path.join("CACHEDIR.TAG").exists() {
                files.extend(rust_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.extend(path.canonicalize());
        }
    }
    files
}

/// Where the registered events say that they are.
struct Registered {
    root: PathBuf,
    lines: BTreeMap<u32, Vec<PathBuf>>,
}

impl Registered {
    fn of(document: &CatalogDocument, workspace_root: &Path) -> Self {
        let mut lines: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
        for SourceLocation { file, line } in document.events.iter().map(|event| &event.location) {
            let path = workspace_root.join(file);
            lines
                .entry(*line)
                .or_default()
                .push(path.canonicalize().unwrap_or_else(|_| file.into()));
        }
        Self {
            root: workspace_root
                .canonicalize()
                .unwrap_or_else(|_| workspace_root.to_owned()),
            lines,
        }
    }

    /// The events of a walk that are not among them.
    fn lacks(&self, walk: &Walk, why: &str) -> Vec<String> {
        let lacking = walk.events().filter(|(file, event)| !self.has(file, event));
        lacking
            .map(|(file, event)| format!("{}: {why}", self.place(file, event)))
            .collect()
    }

    /// An event, and its place as the compiler would write it.
    fn place(&self, file: &Path, event: &Found) -> String {
        let file = file.strip_prefix(&self.root).unwrap_or(file);
        format!("`{}` ({}:{})", event.name, file.display(), event.line)
    }

    fn has(&self, file: &Path, event: &Found) -> bool {
        let there = self.lines.get(&event.line).map(Vec::as_slice).unwrap_or_default();
        // A path that was remapped leads nowhere here; then its end has to do.
        there
            .iter()
            .any(|path| path == file || (!path.is_absolute() && file.ends_with(path)))
    }
}
