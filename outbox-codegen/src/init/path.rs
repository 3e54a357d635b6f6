//! Paths as they are seen from a directory.

use std::path::{Component, Path, PathBuf};

/// The way from a directory to a path, both whole; empty where it is the directory itself.
pub(super) fn relative(from: &Path, to: &Path) -> PathBuf {
    // What is not there yet is below something that is.
    let below = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let whole = |path: &Path| {
        let there = path.canonicalize().ok().or_else(|| below(path));
        there.unwrap_or_else(|| path.to_owned())
    };
    let (from, to) = (whole(from), whole(to));
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_goes_up_and_down() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(way("/none/a", "/none/a/b/c"), "b/c");
        assert_eq!(way("/none/a/b", "/none/a/c"), "../c");
        assert_eq!(way("/none/a", "/none/a"), "");
    }
}
