//! Which `outbox.toml` holds for a command.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use super::{ConfigFile, FILE_NAME};
use crate::catalog::{CatalogSource, Members, nearest};
use crate::failure::Failure;

/// The file that is named; else the one of the package that is named; else the one of this directory or of the package
/// that it is in.
pub(super) fn of(given: &CatalogSource) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = &given.config {
        return Ok(Some(named.clone()));
    }
    if let Some(file) = of_package(given)? {
        return Ok(Some(file));
    }
    if let Some(file) = below(Path::new("")) {
        return Ok(Some(file));
    }
    match nearest() {
        Ok(manifest) => of_nearest(&manifest),
        // With a catalog or a manifest that is named, nothing here is asked for a package.
        Err(_) => Ok(None),
    }
}

fn below(directory: &Path) -> Option<PathBuf> {
    Some(directory.join(FILE_NAME)).filter(|path| path.exists())
}

/// The file of the package or manifest that the command line names.
fn of_package(given: &CatalogSource) -> Result<Option<PathBuf>, Failure> {
    let manifest = given.manifest_path.as_deref();
    if let Some(name) = &given.package {
        // Where the workspace cannot be read, whoever needs the package says why.
        let members = Members::of(manifest).ok();
        let member = members.as_ref().and_then(|members| members.named(name));
        if let Some(file) = member.and_then(|member| below(&member.directory)) {
            return Ok(Some(file));
        }
    }
    Ok(manifest.and_then(|manifest| match manifest.is_dir() {
        true => below(manifest),
        false => below(manifest.parent()?),
    }))
}

/// The file of the package that this directory is in; at the root of a workspace that is no package itself, the only
/// one of a member; else one above that names this package.
fn of_nearest(manifest: &Path) -> Result<Option<PathBuf>, Failure> {
    let directory = manifest.parent().unwrap_or(Path::new(""));
    if let Some(file) = below(directory) {
        return Ok(Some(file));
    }
    match package_name(manifest) {
        Some(name) => of_above(directory, &name, manifest),
        None => {
            let members = Members::of(Some(manifest)).map_or_else(|_| Vec::new(), |found| found.members);
            let files: Vec<PathBuf> = members
                .iter()
                .filter_map(|member| below(&member.directory))
                .collect();
            Ok(match files.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            })
        }
    }
}

fn of_above(directory: &Path, name: &str, manifest: &Path) -> Result<Option<PathBuf>, Failure> {
    let Ok(Members { workspace_root, .. }) = Members::of(Some(manifest)) else {
        return Ok(None);
    };
    let above = directory.ancestors().skip(1);
    let mut inside = above.take_while(|above| above.starts_with(&workspace_root));
    let Some(path) = inside.find_map(below) else {
        return Ok(None);
    };
    let file = ConfigFile::read(&path)?;
    let is_named = file.config.package.name.as_deref() == Some(name);
    let canonical = |path: &Path| path.canonicalize().ok();
    let is_meant = file.config.package.manifest_path.is_some()
        && file
            .manifest()
            .is_some_and(|meant| canonical(&meant) == canonical(manifest));
    Ok((is_named || is_meant).then_some(path))
}

/// The name of the package that a manifest is of; none where it is a workspace's alone.
fn package_name(manifest: &Path) -> Option<String> {
    let table: Table = fs::read_to_string(manifest).ok()?.parse().ok()?;
    Some(table.get("package")?.get("name")?.as_str()?.to_owned())
}
