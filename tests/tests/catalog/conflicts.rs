//! Events of one program that contradict each other. They are in this binary for good, and no others may be.

use outbox_runtime::catalog::Catalog;
use outbox_runtime::relay::RelayErrorKind;
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{OutboxEvent, Relay, SqliteStore};

mod twice {
    use super::OutboxEvent;

    #[derive(serde::Serialize, OutboxEvent)]
    #[outbox(topic = "conflicts.first", aggregate = "a", key = id)]
    pub(super) struct TwiceV1 {
        pub(super) id: u8,
    }
}

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "conflicts.second", aggregate = "a", key = id)]
struct TwiceV1 {
    id: u8,
}

#[derive(serde::Serialize, OutboxEvent)]
#[outbox(topic = "conflicts.keys", aggregate = "a")]
enum TwoKeys {
    #[outbox(key = id)]
    ById { id: u8 },
    #[outbox(key = name)]
    ByName { name: String },
}

fn line(code: &str) -> String {
    let line = include_str!("conflicts.rs")
        .lines()
        .position(|line| line.starts_with(code))
        .unwrap()
        + 1;
    format!("tests/catalog/conflicts.rs:{line})")
}

#[test]
fn each_contradiction_names_both_places() {
    let error = Catalog::global().check().unwrap_err();
    let faults: Vec<_> = error.faults().collect();
    let [twice] = faults[..] else { panic!("{faults:?}") };
    for words in [
        "`TwiceV1` version 1",
        "topic",
        &line("    pub(super) struct Twice"),
        &line("struct Twice"),
    ] {
        assert!(twice.contains(words), "no {words:?} in {twice}");
    }
    assert!(Catalog::global().document("catalog").is_err());
    let _ = (twice::TwiceV1 { id: 1 }.id, TwiceV1 { id: 1 }.id);
    let _ = [TwoKeys::ById { id: 1 }, TwoKeys::ByName { name: String::new() }];
}

#[test]
fn what_may_not_be_meant_is_a_warning_with_both_places() {
    let warnings = Catalog::global().warnings();
    let [keys] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    for words in [
        "`conflicts.keys` has two keys",
        "`id`",
        "`name`",
        &line("    ById {"),
        &line("    ByName {"),
    ] {
        assert!(keys.contains(words), "no {words:?} in {keys}");
    }
    let strict = Catalog::global().check_strictly().unwrap_err();
    assert_eq!(strict.faults().len(), 2);
    assert!(strict.faults().any(|fault| fault == keys), "{strict}");
}

#[tokio::test]
async fn a_relay_is_not_built_with_a_contradiction() {
    let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:").unwrap();
    let error = Relay::builder(SqliteStore::new(&pool), MemoryBroker::new().publisher())
        .build()
        .err()
        .unwrap();
    assert_eq!(error.kind(), RelayErrorKind::Catalog);
    let text = error.to_string();
    for words in [
        "TwiceV1",
        &line("    pub(super) struct Twice"),
        &line("struct Twice"),
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains("conflicts.keys"), "{text}");
}
