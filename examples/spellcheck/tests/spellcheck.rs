//! Spelling is corrected, and each request is answered once.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test reports by a panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contracts::lifecycle::EssaySpellcheckRequestedV1;
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use outbox_runtime::testkit::TestOutbox;
use service_kit::{Db, Texts, create_tables};
use spellcheck::spelling::{Corrected, Dictionaries};

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("spellcheck")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Small dictionaries; the service reads Hunspell's.
fn dictionaries(folder: &Path) -> Dictionaries {
    let aff = "SET UTF-8\nTRY abcdefghijklmnopqrstuvwxyzåäö\n";
    for (name, words) in [
        ("en_US", "4\nthe\ntide\nleaves\nshells\n"),
        ("sv_SE", "3\nskogen\nbakom\nskolan\n"),
    ] {
        std::fs::write(folder.join(format!("{name}.aff")), aff).unwrap();
        std::fs::write(folder.join(format!("{name}.dic")), words).unwrap();
    }
    Dictionaries::read(folder).unwrap()
}

#[test]
fn words_are_counted_and_corrected_and_all_else_is_kept() {
    let dictionaries = dictionaries(&folder("words"));
    let corrected = |text: &str, words, corrections| Corrected {
        text: text.to_owned(),
        words,
        corrections,
    };
    assert_eq!(
        dictionaries.correct("en", "The tidde leaves, shells!\n"),
        Some(corrected("The tide leaves, shells!\n", 4, 1))
    );
    assert_eq!(
        dictionaries.correct("sv", "skogen bakom skolen"),
        Some(corrected("skogen bakom skolan", 3, 1))
    );
    // Swedish is not misspelled English.
    assert_eq!(
        dictionaries.correct("en", "skogen bakom the skolan"),
        Some(corrected("skogen bakom the skolan", 4, 0))
    );
    // Nothing is like it: it is kept.
    assert_eq!(
        dictionaries.correct("en", "the qqqqqqqqqq 42"),
        Some(corrected("the qqqqqqqqqq 42", 2, 0))
    );
    assert_eq!(dictionaries.correct("de", "das"), None);
}

#[test]
fn a_missing_dictionary_is_named() {
    let error = Dictionaries::read(&folder("empty")).unwrap_err().to_string();
    assert!(
        error.contains("en_US.aff") && error.contains("hunspell-sv"),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_that_comes_three_times_is_answered_once() {
    let folder = folder("requests");
    let texts = Texts::new(folder.join("content"));
    texts.write("text/1", "skogen bakom skolen").await.unwrap();
    let (test, others) = (TestOutbox::<Db>::new().await, TestOutbox::<Db>::new().await);
    create_tables(test.pool(), spellcheck::TABLES).await.unwrap();
    let dictionaries = Arc::new(dictionaries(&folder));
    let consumer = spellcheck::consumer(
        test.outbox(),
        test.broker().brokers(),
        texts.clone(),
        dictionaries,
    )
    .build()
    .unwrap();
    let request = |essay: &str, language: &str| EssaySpellcheckRequestedV1 {
        essay_id: essay.to_owned(),
        batch_id: "batch-1".to_owned(),
        text_storage_id: "text/1".to_owned(),
        language: language.to_owned(),
    };
    // The first one is sent twice, and all are delivered three times.
    let requests = [request("a", "sv"), request("a", "sv"), request("b", "de")];
    others
        .outbox()
        .transaction(async |tx| tx.emit_all(requests).map(drop))
        .await
        .unwrap();
    others.relay_until_empty().await;
    for _ in 0..3 {
        others.broker().deliver_to(&consumer).await;
    }
    assert_eq!(consumer.progress().report().dead_lettered, 0);
    let checked = test
        .assert_emitted::<SpellcheckCompletedV1>(|event| event.essay_id == "a")
        .await;
    assert_eq!(
        (checked.status, checked.word_count, checked.corrections_made),
        (SpellcheckStatus::Completed, 3, 1)
    );
    let corrected = texts
        .read(checked.corrected_text_storage_id.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(corrected, "skogen bakom skolan");
    let refused = test
        .assert_emitted::<SpellcheckCompletedV1>(|event| event.essay_id == "b")
        .await;
    assert_eq!(
        (refused.status, &refused.corrected_text_storage_id),
        (SpellcheckStatus::Failed, &None)
    );
    test.assert_nothing_else().await;
}
