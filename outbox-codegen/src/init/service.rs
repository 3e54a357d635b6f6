//! What cargo says of the service that an outbox is for.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Package, Target, TargetKind};

use super::path::relative;
use crate::arguments::Init as Arguments;
use crate::catalog::{Member, Members};
use crate::failure::Failure;

/// What has to be known of a service. Paths are seen from the directory that we are in.
#[derive(Debug)]
pub(crate) struct Service {
    /// Where it is, with everything that is written beside its manifest.
    pub(crate) directory: PathBuf,
    pub(crate) workspace_root: PathBuf,
    pub(crate) package: String,
    /// The library's name in `use`.
    pub(super) library: String,
    /// The file at the library's root, if there is a library.
    pub(super) library_root: Option<PathBuf>,
    /// The program that is run by `cargo run`, or would be if it were the only one.
    pub(super) program: Option<Program>,
    /// The features that it asks of each dependency.
    pub(super) dependencies: BTreeMap<String, Vec<String>>,
    /// Whether cargo, run from here, means another package or none.
    pub(super) is_elsewhere: bool,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) root: PathBuf,
    /// Its name, where there are others.
    pub(super) name: Option<String>,
}

impl Service {
    /// The package that is named, or that we are in; else the workspace's only one, or its only one with a program.
    pub(crate) fn find(arguments: &Arguments) -> Result<Self, Failure> {
        let members = Members::of(arguments.manifest_path.as_deref())?;
        let member = choose(&members, arguments.package.as_deref())?;
        let here = env::current_dir()
            .map_err(|error| Failure::failed("cannot read the current directory").because(error))?;
        let seen = |path: &Path| relative(&here, path);
        let package = &member.package;
        let of_kind = |kinds: &[TargetKind]| {
            let targets = package.targets.iter();
            targets
                .filter(|target| target.kind.iter().any(|kind| kinds.contains(kind)))
                .collect::<Vec<&Target>>()
        };
        let library = of_kind(&[TargetKind::Lib, TargetKind::RLib]).into_iter().next();
        let mut dependencies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for dependency in package
            .dependencies
            .iter()
            .filter(|one| one.kind == DependencyKind::Normal)
        {
            let features = dependencies.entry(dependency.name.clone()).or_default();
            features.extend(dependency.features.iter().cloned());
        }
        let nearest = crate::catalog::nearest().ok();
        Ok(Self {
            directory: seen(&member.directory),
            workspace_root: seen(&members.workspace_root),
            package: package.name.to_string(),
            library: library
                .map_or_else(|| package.name.as_str(), |library| &library.name)
                .replace('-', "_"),
            library_root: library.map(|library| seen(library.src_path.as_std_path())),
            program: program(package, &of_kind(&[TargetKind::Bin]), seen),
            dependencies,
            is_elsewhere: nearest.is_none_or(|nearest| nearest != package.manifest_path.as_std_path()),
        })
    }
}

fn choose<'a>(members: &'a Members, named: Option<&str>) -> Result<&'a Member, Failure> {
    let has_program = |member: &&Member| {
        let mut targets = member.package.targets.iter();
        targets.any(|target| target.kind.contains(&TargetKind::Bin))
    };
    let programs: Vec<&Member> = members.members.iter().filter(has_program).collect();
    let chosen = match named {
        Some(name) => members.named(name),
        None => members.current(),
    };
    match (chosen, named, members.members.as_slice(), programs.as_slice()) {
        (Some(member), ..) | (None, None, [member], _) => Ok(member),
        (None, None, _, [member]) => Ok(*member),
        _ => {
            let mut names: Vec<&str> = members
                .members
                .iter()
                .map(|member| member.package.name.as_str())
                .collect();
            names.sort_unstable();
            let what = match named {
                Some(name) => format!("there is no package `{name}` in the workspace"),
                None if names.is_empty() => "the workspace has no package".to_owned(),
                None => "the workspace has several packages".to_owned(),
            };
            Err(Failure::usage(what).advise(match names.as_slice() {
                [] => "make one with `cargo new`, and run this again".to_owned(),
                names => format!("write --package NAME with one of: {}", names.join(", ")),
            }))
        }
    }
}

/// The one that the manifest says, or that is called like the package, or the first.
fn program(package: &Package, programs: &[&Target], seen: impl Fn(&Path) -> PathBuf) -> Option<Program> {
    let usual = package.default_run.as_deref().unwrap_or(package.name.as_str());
    let chosen = programs.iter().find(|target| target.name == usual);
    let chosen = chosen.or_else(|| programs.first())?;
    Some(Program {
        root: seen(chosen.src_path.as_std_path()),
        name: (programs.len() > 1 && package.default_run.is_none()).then(|| chosen.name.clone()),
    })
}
