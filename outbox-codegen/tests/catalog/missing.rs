//! An event that is in the source is in the catalog, or there is an error.

use crate::Fixture;
use crate::fixture::event;

#[test]
fn a_generic_event_names_its_forms() {
    let source = event("WrapperV1").replace(
        "struct WrapperV1 { pub id: u8 }",
        "struct WrapperV1<T> { pub id: T }",
    );
    let generic = Fixture::library("catalog-generic", &[("lib.rs", &source)]);
    generic.outbox("catalog").fails(
        1,
        &[
            "catalog_generic::WrapperV1",
            "src/lib.rs:3",
            "#[outbox(instances(WrapperV1<…>, …))]",
        ],
    );
}

#[test]
fn events_that_contradict_each_other_are_reported_with_both_locations() {
    let other = event("ClosedV1").replace("t.ClosedV1", "t.other");
    let source = format!("{}pub mod other {{\n{other}}}\n", event("ClosedV1"));
    let contradiction = Fixture::library("catalog-contradiction", &[("lib.rs", &source)]);
    contradiction.outbox("catalog").fails(
        1,
        &["`ClosedV1` version 1", "src/lib.rs:3", "src/lib.rs:7", "t.other"],
    );
}

/// Beside them, what `cfg` disables is not missed, in whatever way.
#[test]
fn a_file_that_no_module_leads_to_is_reported() {
    let library = format!(
        "#[cfg(feature = \"extra\")]\nmod off;\n#[cfg_attr(not(windows), path = \"there.rs\")]\nmod here;\n{}",
        event("PresentV1")
    );
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", event("TestedV1"));
    let files = [
        ("lib.rs", library.as_str()),
        ("off.rs", &format!("mod below;\n{}", event("OffV1"))),
        ("off/below.rs", &event("BelowV1")),
        ("there.rs", &format!("{}{tests}", event("ThereV1"))),
    ];
    let orphan = Fixture::library("catalog-orphan", &files);
    let types = |catalog: serde_json::Value| catalog["events"].as_array().unwrap().len();
    assert_eq!(types(orphan.catalog("")), 2);
    assert_eq!(types(orphan.catalog("--features extra")), 4);

    orphan.write("src/forgotten.rs", &event("ForgottenV1"));
    orphan.outbox("catalog --json").fails(
        1,
        &["`ForgottenV1` (src/forgotten.rs:3)", "no `mod` leads to its file"],
    );
}

#[test]
fn an_event_of_the_program_beside_the_library_is_reported() {
    let main = format!(
        "mod inner;\nfn main() {{ let _ = inner::HiddenV1 {{ id: 1 }}; }}\n{}",
        event("SeenV1")
    );
    let files = [
        ("lib.rs", event("SeenV1").as_str()),
        ("main.rs", &main),
        ("inner.rs", &event("HiddenV1")),
    ]
    .map(|(name, text)| (name, text.to_owned()));
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let both = Fixture::library("catalog-both", &files);
    both.outbox("catalog").fails(
        1,
        &[
            "`HiddenV1` (src/inner.rs:3)",
            "`SeenV1` (src/main.rs:5)",
            "the program `catalog-both`",
        ],
    );
}

/// It is no event of this package, but it could be meant as one.
#[test]
fn an_event_by_hand_is_noted() {
    let source = format!(
        "{}pub struct ByHand;\nimpl outbox_runtime::OutboxEvent for ByHand {{\n\
         fn event_type(&self) -> std::borrow::Cow<'static, str> {{ \"ByHandV1\".into() }}\n\
         fn topic(&self) -> std::borrow::Cow<'_, str> {{ \"t\".into() }}\n\
         fn aggregate_type(&self) -> std::borrow::Cow<'static, str> {{ \"a\".into() }}\n\
         fn key(&self) -> String {{ \"k\".into() }}\n\
         fn payload(&self) -> Result<outbox_runtime::Payload, outbox_runtime::BoxError> {{ \
         Ok(outbox_runtime::Payload::Tombstone) }}\n}}\n",
        event("DerivedV1")
    );
    let ran = Fixture::library("catalog-by-hand", &[("lib.rs", &source)]).outbox("catalog");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("DerivedV1") && !ran.stdout.contains("ByHand"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("note: `ByHand` (src/lib.rs:5)"), "{ran:?}");
}
