//! Crates outside of the workspace, as a user has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::outbox::Ran;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/catalog/fixtures");
const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../outbox-runtime");
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");

/// The profile of the toolkit's own workspace, so that nothing is compiled twice.
pub(crate) const PROFILE: &str = r#"
[profile.dev]
debug = "line-tables-only"

[profile.dev.package."*"]
debug = false
"#;

/// With one set of features, so that nothing is compiled twice.
const MANIFEST: &str = r#"
[package]
name = "@name@"
version = "0.1.0"
edition = "2024"

[features]
extra = []

[dependencies]
outbox-runtime = { path = "@runtime@", default-features = false, features = ["schema"] }
schemars = "1"
serde = { version = "1", features = ["derive"] }

[workspace]
"#;

/// A package or workspace in a directory of its own.
pub(crate) struct Fixture(TempDir);

/// The workspace with everything in it; nothing may change it.
pub(crate) fn shop() -> &'static Fixture {
    static SHOP: OnceLock<Fixture> = OnceLock::new();
    SHOP.get_or_init(|| {
        let shop = Fixture::empty();
        copy(&Path::new(TESTS).join("shop"), shop.path());
        shop
    })
}

impl Fixture {
    /// With nothing in it but a lock file.
    pub(crate) fn empty() -> Self {
        let place = tempfile::tempdir().unwrap();
        // The same versions as everywhere, without a question to the registry.
        fs::copy(LOCK, place.path().join("Cargo.lock")).unwrap();
        Self(place)
    }

    /// A library of this name with these files below `src`. Names differ, as all share one target directory.
    pub(crate) fn library(name: &str, files: &[(&str, &str)]) -> Self {
        let fixture = Self::empty();
        let manifest = MANIFEST.replace("@name@", name);
        fixture.write("Cargo.toml", &(manifest + PROFILE));
        for (file, contents) in files {
            fixture.write(&format!("src/{file}"), contents);
        }
        fixture
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, file: &str, contents: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents.replace("@runtime@", RUNTIME)).unwrap();
    }

    /// `outbox` with these arguments, in a directory below.
    pub(crate) fn outbox_in(&self, directory: &str, arguments: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outbox"));
        command
            .current_dir(self.path().join(directory))
            .args(arguments.split_whitespace());
        // cargo runs this test, and what it says to the test is not meant for another package.
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_"))
        {
            command.env_remove(variable);
        }
        for variable in ["CARGO_HOME", "CARGO_NET_OFFLINE"] {
            command.envs(std::env::var_os(variable).map(|value| (variable, value)));
        }
        command.env("CARGO_TARGET_DIR", target()).output().unwrap().into()
    }

    pub(crate) fn outbox(&self, arguments: &str) -> Ran {
        self.outbox_in("", arguments)
    }

    /// Takes away what was linked for the package, as before its first catalog.
    pub(crate) fn forget_programs(package: &str) {
        for entry in fs::read_dir(target().join("outbox-catalog")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with(package) {
                fs::remove_dir_all(path).unwrap();
            }
        }
    }

    /// Makes a repository of a directory, with one commit of all that is in it, and returns its address.
    pub(crate) fn commit(&self, directory: &str) -> String {
        let path = self.path().join(directory);
        let author = ["-c", "user.name=a", "-c", "user.email=a@b"];
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "."],
            &["commit", "--quiet", "-m", "all"],
        ] {
            let mut git = Command::new("git");
            git.current_dir(&path).args(author).args(arguments);
            assert!(git.status().expect("git is installed").success());
        }
        format!("file://{}", path.display())
    }

    /// The catalog as JSON.
    #[track_caller]
    pub(crate) fn catalog(&self, arguments: &str) -> serde_json::Value {
        serde_json::from_str(&self.outbox(&format!("catalog --json {arguments}")).done()).unwrap()
    }
}

/// An event of this name, in source code.
pub(crate) fn event(name: &str) -> String {
    format!(
        "#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]\n#[outbox(topic = \"t.{name}\", aggregate = \"a\", key = \
         id)]\npub struct {name} {{ pub id: u8 }}\n"
    )
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            let text = fs::read_to_string(&from).unwrap();
            fs::write(&to, text.replace("@runtime@", RUNTIME)).unwrap();
        }
    }
}
