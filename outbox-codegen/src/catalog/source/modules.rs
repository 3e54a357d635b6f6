//! The files of a target, by the compiler's rules for `mod`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::cfg::Cfgs;
use super::events::{self, Contents, Found, Module};

/// The files that modules lead to, and the events in those that are compiled.
pub(super) struct Walk {
    cfgs: Cfgs,
    compiled: BTreeMap<PathBuf, Contents>,
    disabled: BTreeSet<PathBuf>,
}

impl Walk {
    pub(super) fn of_nothing(cfgs: &Cfgs) -> Self {
        Self {
            cfgs: cfgs.clone(),
            compiled: BTreeMap::new(),
            disabled: BTreeSet::new(),
        }
    }

    /// All modules of the target with this root.
    pub(super) fn from(root: &Path, cfgs: &Cfgs) -> Self {
        let mut walk = Self::of_nothing(cfgs);
        walk.visit(root, root.parent().unwrap_or(root), true);
        walk
    }

    /// A file that is compiled, though no `mod` was seen to lead to it.
    pub(super) fn add(&mut self, file: &Path) {
        self.visit(file, &folder_of(file), true);
    }

    /// All files, also those that `cfg` disables.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        self.compiled.keys().chain(&self.disabled).cloned().collect()
    }

    /// The events of the files that are compiled.
    pub(super) fn events(&self) -> impl Iterator<Item = (&Path, &Found)> {
        self.each(|contents| &contents.events)
    }

    /// The types there that implement the trait themselves.
    pub(super) fn by_hand(&self) -> impl Iterator<Item = (&Path, &Found)> {
        self.each(|contents| &contents.by_hand)
    }

    fn each(&self, part: fn(&Contents) -> &Vec<Found>) -> impl Iterator<Item = (&Path, &Found)> {
        let files = self.compiled.iter();
        files
            .flat_map(move |(file, contents)| part(contents).iter().map(move |event| (file.as_path(), event)))
    }

    fn visit(&mut self, file: &Path, children: &Path, compiled: bool) {
        let Ok(file) = file.canonicalize() else { return };
        // A file may be reached twice; what is compiled counts.
        if self.compiled.contains_key(&file) || (!compiled && self.disabled.contains(&file)) {
            return;
        }
        let Some(read) = fs::read_to_string(&file)
            .ok()
            .and_then(|text| syn::parse_file(&text).ok())
        else {
            return;
        };
        let found = events::of(&read, &self.cfgs);
        let compiled = compiled && found.compiled;
        let modules = found.modules.clone();
        if compiled {
            self.disabled.remove(&file);
            self.compiled.insert(file.clone(), found);
        } else {
            self.disabled.insert(file.clone());
        }
        for module in &modules {
            if let Some((path, below)) = locate(module, &file, children) {
                self.visit(&path, &below, compiled && module.compiled);
            }
        }
    }
}

/// The file of a module, and the folder in which its own modules lie.
fn locate(module: &Module, file: &Path, children: &Path) -> Option<(PathBuf, PathBuf)> {
    let inline = module
        .inside
        .iter()
        .fold(children.to_owned(), |folder, name| folder.join(name));
    if let Some(path) = &module.path {
        // Relative to the file, unless the module is inside of another one in it.
        let base = if module.inside.is_empty() {
            file.parent()?
        } else {
            &inline
        };
        let path = base.join(path);
        let below = path.parent()?.to_owned();
        return Some((path, below));
    }
    let flat = inline.join(format!("{}.rs", module.name));
    let below = inline.join(&module.name);
    let nested = below.join("mod.rs");
    [flat, nested]
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| (path, below))
}

/// Where the modules of a file lie that was reached otherwise.
fn folder_of(file: &Path) -> PathBuf {
    let parent = file.parent().unwrap_or(file);
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => parent.to_owned(),
        Some(stem) => parent.join(stem),
    }
}
