//! Which package, and what cargo says of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use super::CatalogSource;
use crate::failure::Failure;

/// The package whose events are wanted.
pub(super) struct Chosen {
    pub(super) package: Package,
    pub(super) workspace_root: PathBuf,
    pub(super) target_directory: PathBuf,
}

impl Chosen {
    pub(super) fn name(&self) -> &str {
        self.package.name.as_str()
    }

    pub(super) fn directory(&self) -> &Path {
        self.package
            .manifest_path
            .parent()
            .map_or(Path::new("."), |path| path.as_std_path())
    }

    /// Cargo, as it runs in the package: with its toolchain and its configuration.
    pub(super) fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(cargo());
        cargo.arg(command).current_dir(self.directory());
        // A relative one means a place below the directory that the user is in.
        if let Some(target) = env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty()) {
            cargo.env(
                "CARGO_TARGET_DIR",
                std::path::absolute(&target).unwrap_or_else(|_| target.into()),
            );
        }
        cargo
    }
}

/// The cargo that started this program, if one did.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Finds the package that the command line means, and makes sure that it can have a catalog.
pub(super) fn find(source: &CatalogSource) -> Result<Chosen, Failure> {
    let manifest = manifest(source.manifest_path.as_deref())?;
    let metadata = metadata(&manifest)?;
    let package = choose(&metadata, &manifest, source.package.as_deref())?;
    check_library(&package)?;
    check_features(&package, &source.features)?;
    Ok(Chosen {
        package,
        workspace_root: metadata.workspace_root.into(),
        target_directory: metadata.target_directory.into(),
    })
}

fn manifest(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(path) = given else {
        return nearest();
    };
    let path = if path.is_dir() {
        path.join("Cargo.toml")
    } else {
        path.to_owned()
    };
    path.canonicalize().map_err(|error| {
        Failure::usage(format!("the manifest `{}` does not exist", path.display()))
            .because(error)
            .advise("write --manifest-path PATH, the Cargo.toml of the crate that declares the events")
    })
}

/// The Cargo.toml of this directory, or of the nearest one above it.
pub(crate) fn nearest() -> Result<PathBuf, Failure> {
    let here = env::current_dir()
        .map_err(|error| Failure::failed("cannot read the current directory").because(error))?;
    let manifest = here
        .ancestors()
        .map(|above| above.join("Cargo.toml"))
        .find(|path| path.is_file());
    manifest.ok_or_else(|| {
        Failure::usage("no Cargo.toml in this directory or above it").advise(
            "run this in the crate that declares the events, or write --manifest-path PATH or --catalog FILE",
        )
    })
}

/// The packages of a workspace, without what they depend on.
pub(crate) struct Members {
    pub(crate) members: Vec<Member>,
    pub(crate) workspace_root: PathBuf,
    manifest: PathBuf,
}

/// A package of the workspace.
pub(crate) struct Member {
    pub(crate) package: Package,
    pub(crate) directory: PathBuf,
}

impl Members {
    /// Those of the workspace that the manifest is of, or the nearest one.
    pub(crate) fn of(given: Option<&Path>) -> Result<Self, Failure> {
        let manifest = manifest(given)?;
        let metadata = metadata(&manifest)?;
        let member = |package: &&Package| Member {
            directory: package
                .manifest_path
                .parent()
                .map_or_else(PathBuf::new, |path| path.as_std_path().to_owned()),
            package: (*package).clone(),
        };
        Ok(Self {
            members: metadata.workspace_packages().iter().map(member).collect(),
            workspace_root: metadata.workspace_root.into(),
            manifest,
        })
    }

    /// The package that the manifest is of, which may be a workspace's alone.
    pub(crate) fn current(&self) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.package.manifest_path.as_std_path() == self.manifest)
    }

    /// The package of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.package.name.as_str() == name)
    }
}

/// The workspace's own packages: for these cargo needs neither a network nor a lock file.
fn metadata(manifest: &Path) -> Result<Metadata, Failure> {
    let mut command = MetadataCommand::new();
    command
        .manifest_path(manifest)
        .no_deps()
        .cargo_path(PathBuf::from(cargo()));
    if let Some(directory) = manifest.parent() {
        command.current_dir(directory);
    }
    let unreadable = || Failure::usage(format!("cargo cannot read `{}`", manifest.display()));
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => unreadable().because(stderr.trim_end().to_owned()),
        cargo_metadata::Error::Io(error) => Failure::failed("cannot run cargo")
            .because(error)
            .advise("install Rust, or write --catalog FILE with the output of `outbox catalog --json`"),
        other => unreadable().because(other),
    })
}

fn choose(metadata: &Metadata, manifest: &Path, name: Option<&str>) -> Result<Package, Failure> {
    let members = metadata.workspace_packages();
    let names = || {
        let mut names: Vec<_> = members.iter().map(|package| package.name.to_string()).collect();
        names.sort();
        names.join(", ")
    };
    let chosen = match name {
        Some(name) => members.iter().find(|package| package.name.as_str() == name),
        None => members
            .iter()
            .find(|package| package.manifest_path.as_std_path() == manifest),
    };
    match (chosen, name, members.as_slice()) {
        (Some(package), _, _) | (None, None, [package]) => Ok((*package).clone()),
        (None, Some(name), _) => Err(Failure::usage(format!(
            "there is no package `{name}` in the workspace"
        ))
        .advise(format!("write --package NAME with one of: {}", names()))),
        (None, None, _) => Err(Failure::usage("the workspace has several packages")
            .advise(format!("write --package NAME with one of: {}", names()))),
    }
}

fn check_library(package: &Package) -> Result<(), Failure> {
    let links = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::RLib);
    if package.targets.iter().any(|target| target.kind.iter().any(links)) {
        return Ok(());
    }
    let name = package.name.as_str();
    if let Some(library) = package.targets.iter().find(|target| {
        let kinds = [TargetKind::CDyLib, TargetKind::StaticLib, TargetKind::DyLib];
        target.kind.iter().any(|kind| kinds.contains(kind))
    }) {
        return Err(Failure::usage(format!(
            "the library `{}` of `{name}` cannot be linked into a Rust program",
            library.name
        ))
        .advise("add \"lib\" to its `crate-type` in Cargo.toml"));
    }
    Err(
        Failure::usage(format!("`{name}` has no library, and only the events of libraries can be listed")).advise(
            "move the modules of src/main.rs into a src/lib.rs, and leave in main.rs `fn main()` with `use \
             <the crate's name>::…`: cargo builds both without a line in Cargo.toml. Or put the events into a library \
             of their own that the program depends on",
        ),
    )
}

/// Cargo would end as if the crate did not compile.
fn check_features(package: &Package, given: &[String]) -> Result<(), Failure> {
    let asked = given
        .iter()
        .flat_map(|list| list.split([',', ' ']))
        .filter(|name| !name.is_empty());
    for name in asked.filter(|name| !name.contains('/')) {
        if !package.features.contains_key(name) {
            let mut names: Vec<_> = package.features.keys().map(String::as_str).collect();
            names.sort_unstable();
            return Err(
                Failure::usage(format!("`{}` has no feature `{name}`", package.name)).advise(
                    if names.is_empty() {
                        "it has no features: omit --features".to_owned()
                    } else {
                        format!("there are: {}", names.join(", "))
                    },
                ),
            );
        }
    }
    Ok(())
}
