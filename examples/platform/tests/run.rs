//! The program does what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test reports by a panic"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("platform-{name}.html"))
}

fn platform(arguments: &[&str], page: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_platform"))
        .args(arguments)
        // Without dictionaries: what is tested here is not the spelling.
        .args(["--dictionaries", "/nonexistent", "--page"])
        .arg(page)
        .output()
        .unwrap()
}

/// What it prints when all is as it should be. Six essays have a rank; two files were refused.
fn right(ran: &Output, batches: usize) -> String {
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{ran:?}");
    for words in [
        "\n   6  the-library-on-the-corner.txt",
        "\n   -  too-short.txt",
        "Every committed event arrived, in order, and nothing else did.",
        "Nothing was done twice.",
        &format!("{batches} of {batches} batches have the ranking that their essays deserve."),
    ] {
        assert!(printed.contains(words), "no {words:?} in {printed}");
    }
    printed
}

#[test]
fn a_class_is_ranked_and_the_page_shows_how() {
    // A file's name is a text for the page, whatever it looks like.
    let essays = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../file-service/essays");
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), essays.path().join(entry.file_name())).unwrap();
    }
    let script = "<script>alert('&')<script>.txt";
    let essay = "It is good. It is good. It is good. It is good. It is good. It is good.";
    std::fs::write(essays.path().join(script), essay).unwrap();
    let page = page("quiet");
    let ran = platform(
        &["--again", "--stages", "--essays", essays.path().to_str().unwrap()],
        &page,
    );
    let printed = right(&ran, 1);
    // Each of them came three times, and was handled once.
    assert!(
        printed.contains("committed 47 events; 141 records arrived, of which 94 came again"),
        "{printed}"
    );
    assert!(printed.contains("\nresults joined "), "{printed}");

    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;script&gt;.txt"));
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    // An arrow and a line for each event, and all of one trace.
    assert_eq!(html.matches("<g class=\"event ").count(), 47);
    assert_eq!(html.matches("<li class=\"entry ").count(), 47);
    assert!(html.contains("All are of the trace"), "{html}");
    balanced(&html);
}

#[test]
fn faults_change_nothing_in_the_result() {
    let page = page("chaos");
    let printed = right(&platform(&["--chaos", "--batches", "2"], &page), 2);
    for fault in [
        "spellcheck: killed",
        "relay killed",
        "database locked",
        "broker down",
    ] {
        assert!(printed.contains(fault), "no {fault:?} in {printed}");
    }
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("<li class=\"fault\">"), "faults are not marked");
    balanced(&html);
}

#[test]
fn what_is_missing_is_named() {
    let page = page("missing");
    for (arguments, words) in [
        (
            ["--brokers", "127.0.0.1:1"],
            "no Kafka broker answers at 127.0.0.1:1",
        ),
        (
            ["--essays", "/nonexistent"],
            "cannot read the folder /nonexistent",
        ),
        (
            ["--database-url", "postgres://127.0.0.1:1/postgres"],
            "cargo run -p platform --features postgres",
        ),
    ] {
        let ran = platform(&arguments, &page);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}

/// Each element that needs an end has one, and they are nested.
fn balanced(html: &str) {
    let mut open = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap();
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        let void = ["!doctype", "meta", "br", "link"].contains(&name) || tag.ends_with('/');
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "an end that nothing begins"),
            None if void => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} have no end");
}
