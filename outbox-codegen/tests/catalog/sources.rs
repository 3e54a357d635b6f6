//! Where a crate's dependencies come from: whatever its own build knows is known here.

use serde_json::Value;

use crate::Fixture;
use crate::fixture::{PROFILE, event};

fn types(catalog: &Value) -> Vec<&str> {
    let events = catalog["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect()
}

/// A package that asks for the toolkit by its version.
fn manifest(name: &str, more: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         outbox-runtime = {{ version = \"0.1\", default-features = false, features = [\"schema\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n{more}"
    )
}

/// The toolkit under its version and put in its place by `[patch]`, a crate of a path under another name, a crate of a
/// repository that the library mentions, and one that it does not.
#[test]
fn dependencies_by_path_by_git_and_by_a_patch() {
    let service = Fixture::empty();
    for (name, of) in [("by-git", "ByGitV1"), ("by-git-unused", "ByGitUnusedV1")] {
        service.write(&format!("{name}/Cargo.toml"), &manifest(name, ""));
        service.write(&format!("{name}/src/lib.rs"), &event(of));
    }
    let (by_git, unused) = (service.commit("by-git"), service.commit("by-git-unused"));
    service.write("by-path/Cargo.toml", &manifest("by-path", ""));
    service.write("by-path/src/lib.rs", &event("ByPathV1"));
    let dependencies = format!(
        "other-name = {{ package = \"by-path\", path = \"by-path\" }}\nby-git = {{ git = \"{by_git}\" }}\n\
         by-git-unused = {{ git = \"{unused}\" }}\n\n\
         [patch.crates-io]\noutbox-runtime = {{ path = \"@runtime@\" }}\n\n[workspace]\n\
         exclude = [\"by-git\", \"by-git-unused\"]\n{PROFILE}"
    );
    let own =
        manifest("catalog-sources", &dependencies).replace("path = \"@runtime@\", f", "version = \"0.1\", f");
    service.write("Cargo.toml", &own);
    service.write(
        "src/lib.rs",
        &format!("pub use by_git::ByGitV1;\n{}", event("OwnV1")),
    );
    assert_eq!(types(&service.catalog("")), ["OwnV1"]);
    let catalog = service.catalog("--include by-git,by-path --include by-git-unused");
    assert_eq!(types(&catalog), ["ByGitUnusedV1", "ByGitV1", "ByPathV1", "OwnV1"]);
    // The name that it has in this manifest is not its own.
    service
        .outbox("catalog --include other-name")
        .fails(2, &["`other-name`", "its own Cargo.toml", "by-path"]);
}
