//! What stands in the source, compared with what was registered: nothing goes missing in silence.
//!
//! What is compiled into the library is registered. So an event is missing if it is in a program of the package, or in a
//! file that no `mod` of the library leads to. All Rust files in the folders of the library and of the programs are
//! searched for such events, without following modules.
//!
//! Nor is it known here which `cfg` holds: what one concerns counts as disabled if it is not registered. A file is
//! concerned if a module of its name, or of the name of a folder that it is in, is declared with a `cfg` anywhere in the
//! package. The price is that an event is not missed if a `cfg` that holds leaves it in a program, or if the file that no
//! `mod` leads to has the name of such a module.

mod events;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Target, TargetKind};
use outbox_runtime::catalog::{CatalogDocument, SourceLocation};

use self::events::{Contents, Found};
use super::build::Built;
use super::package::Chosen;
use crate::failure::Failure;
use crate::say::say;

/// Fails if an event is in the source, no `cfg` concerns it, and it is not in the document.
pub(super) fn compare(chosen: &Chosen, built: &Built, document: &CatalogDocument) -> Result<(), Failure> {
    let registered = Registered::of(document, &chosen.workspace_root);
    let features = built.libraries.first().map(|library| library.features.as_slice());
    let source = Source::of(chosen, features.unwrap_or_default());
    let mut missing = Vec::new();
    for (file, contents) in &source.files {
        let why = match source.programs.get(file) {
            Some(program) => format!("it is in the program `{program}`, which is not part of the library"),
            None => "no `mod` leads to its file from the library".to_owned(),
        };
        let lacking = contents
            .events
            .iter()
            .filter(|event| !registered.has(file, event));
        missing.extend(lacking.map(|event| format!("{}: {why}", registered.place(file, event))));
        for event in &contents.by_hand {
            say(format_args!(
                "note: {} implements `OutboxEvent` by hand; the catalog contains only derived events",
                registered.place(file, event)
            ));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort();
    Err(Failure::failed(format!(
        "events in the source of `{}` are missing from its catalog:\n  {}",
        chosen.name(),
        missing.join("\n  ")
    ))
    .advise("move them into the library's modules, or disable them with `#[cfg(…)]`"))
}

/// The files of the package that may hold events of its service.
struct Source {
    files: BTreeMap<PathBuf, Contents>,
    /// The roots of the programs that are built with these features, and their names.
    programs: BTreeMap<PathBuf, String>,
}

impl Source {
    fn of(chosen: &Chosen, features: &[String]) -> Self {
        let mut paths = BTreeSet::new();
        let mut programs = BTreeMap::new();
        let mut left_out = Vec::new();
        for target in &chosen.package.targets {
            let Ok(root) = target.src_path.as_std_path().canonicalize() else {
                continue;
            };
            if is_program(target, features) {
                programs.insert(root.clone(), target.name.clone());
            } else if !is_library(target) {
                left_out.push(own_place(&root));
                continue;
            }
            // Next to the manifest there is everything.
            let folder = target.src_path.as_std_path().parent();
            if let Some(folder) = folder.filter(|folder| *folder != chosen.directory()) {
                paths.extend(rust_files(folder));
            }
            paths.insert(root);
        }
        paths.retain(|path| !left_out.iter().any(|place| path.starts_with(place)));
        let read = |path: PathBuf| {
            let contents = events::read(&fs::read_to_string(&path).ok()?)?;
            Some((path, contents))
        };
        let mut files: BTreeMap<PathBuf, Contents> = paths.into_iter().filter_map(read).collect();
        let conditional: BTreeSet<String> = files
            .values_mut()
            .flat_map(|contents| std::mem::take(&mut contents.conditional_modules))
            .collect();
        let package = chosen.directory().canonicalize().unwrap_or_default();
        files.retain(|path, _| {
            let module = path.strip_prefix(&package).unwrap_or(path).with_extension("");
            let mut names = module.iter().filter_map(|name| name.to_str());
            !names.any(|name| conditional.contains(name))
        });
        Self { files, programs }
    }
}

fn is_library(target: &Target) -> bool {
    let mut kinds = target.kind.iter();
    kinds.any(|kind| matches!(kind, TargetKind::Lib | TargetKind::RLib))
}

/// A program of the package that is built with these features.
fn is_program(target: &Target, features: &[String]) -> bool {
    let mut required = target.required_features.iter();
    target.kind.contains(&TargetKind::Bin) && required.all(|feature| features.contains(feature))
}

/// What belongs to a target alone: its folder below `src/bin`, else its root.
fn own_place(root: &Path) -> PathBuf {
    let folder = root.parent().filter(|_| root.ends_with("main.rs"));
    let alone = folder.filter(|folder| folder.parent().is_some_and(|above| above.ends_with("bin")));
    alone.unwrap_or(root).to_owned()
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
