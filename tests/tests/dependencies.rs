//! The dependencies keep the rules of `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{Metadata, MetadataCommand, Package};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skipped>,
}

#[derive(Deserialize)]
struct Skipped {
    #[serde(rename = "crate")]
    name: String,
}

fn rules() -> Rules {
    toml::from_str(&fs::read_to_string(format!("{ROOT}/deny.toml")).unwrap()).unwrap()
}

/// All packages of the lock file that are compiled on Linux.
fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(format!("{ROOT}/Cargo.toml"))
        .other_options(["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from))
        .exec()
        .unwrap()
}

fn may_be_used(package: &Package, allowed: &BTreeSet<String>) -> bool {
    let Some(license) = &package.license else {
        return false;
    };
    let expression = Expression::parse_mode(license, ParseMode::LAX)
        .unwrap_or_else(|error| panic!("{}: {license}: {error}", package.name));
    expression.evaluate(|license: &LicenseReq| allowed.contains(&license.to_string()))
}

#[test]
fn licenses_are_permissive() {
    let allowed = rules().licenses.allow;
    let metadata = metadata();
    assert!(metadata.packages.len() > 100, "the packages were not read");
    let others: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| !may_be_used(package, &allowed))
        .map(|package| format!("{} {:?}", package.name, package.license))
        .collect();
    assert_eq!(others, Vec::<String>::new(), "deny.toml does not allow these");
}

#[test]
fn every_allowed_license_is_needed() {
    let allowed = rules().licenses.allow;
    let metadata = metadata();
    for license in &allowed {
        let without: BTreeSet<_> = allowed
            .iter()
            .filter(|other| *other != license)
            .cloned()
            .collect();
        let needed = metadata
            .packages
            .iter()
            .any(|package| !may_be_used(package, &without));
        assert!(needed, "nothing needs {license}: remove it from deny.toml");
    }
}

#[test]
fn dependencies_come_from_the_registry() {
    let metadata = metadata();
    let elsewhere: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| {
            package
                .source
                .as_ref()
                .is_some_and(|source| !source.is_crates_io())
        })
        .map(|package| package.id.to_string())
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

/// Two versions of a crate cost twice the time to compile, and their types differ.
#[test]
fn duplicates_are_known() {
    let metadata = metadata();
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    let resolved: BTreeSet<_> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| resolve.nodes.iter().map(|node| &node.id))
        .collect();
    for package in metadata
        .packages
        .iter()
        .filter(|package| resolved.contains(&package.id))
    {
        versions
            .entry(package.name.to_string())
            .or_default()
            .insert(package.version.to_string());
    }
    let duplicates: BTreeSet<_> = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name)
        .collect();
    let known: BTreeSet<_> = rules()
        .bans
        .skip
        .into_iter()
        .map(|skipped| skipped.name)
        .collect();
    assert_eq!(
        duplicates, known,
        "found on the left, known to deny.toml on the right"
    );
}
