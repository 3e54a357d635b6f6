//! Where files are written: no two of them to one place.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// Fails where two files have one path, however it is written. Each is named by what it is.
pub(crate) fn refuse_shared<'a>(files: impl IntoIterator<Item = (PathBuf, &'a str)>) -> Result<(), Failure> {
    let mut taken: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (path, what) in files {
        if let Some(other) = taken.insert(resolved(&path), what) {
            return Err(Failure::usage(format!(
                "`{}` would be written twice: as {other} and as {what}",
                path.display()
            ))
            .advise("give each its own path"));
        }
    }
    Ok(())
}

/// The path without `.`, `..` and links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
        if let Ok(found) = resolved.canonicalize() {
            resolved = found;
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_many_names() {
        let shared =
            |one: &str, other: &str| refuse_shared([(one.into(), "one"), (other.into(), "other")]).is_err();
        assert!(shared("a/b.json", "./a/b.json"));
        assert!(shared("a/b.json", "a/../a/b.json"));
        assert!(shared(
            "a/b.json",
            &std::env::current_dir()
                .unwrap()
                .join("a/b.json")
                .display()
                .to_string()
        ));
        assert!(!shared("a/b.json", "a/c.json"));
    }
}
