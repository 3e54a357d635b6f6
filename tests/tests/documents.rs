//! What the README and the guide show runs as it is written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox_tests::{TestDatabase, program};
use sqlx::Row;
use tokio::process::Command;

/// Longer than the slowest example takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the crate is in the workspace").to_owned()
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the page can be read")
}

/// The blocks of this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[tokio::test]
async fn the_examples_of_the_readme_run() {
    let readme = page("README.md");
    let shell = blocks(&readme, "sh");
    let examples: Vec<&str> = shell
        .iter()
        .flat_map(|block| block.lines())
        .filter_map(|line| line.strip_prefix("cargo run -p "))
        .collect();
    assert_eq!(examples, ["hello", "quickstart"]);
    for example in examples {
        // Built beside the command line.
        let mut command = Command::new(program().with_file_name(example));
        command.kill_on_drop(true);
        let ended = tokio::time::timeout(LIMIT, command.output()).await;
        let ended = ended.expect("it ends").expect("it is built");
        let printed = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{example}: {ended:?}");
        let words = match example {
            "hello" => [
                "order 2: rolled back, because the cart is empty",
                "topic shop.orders, key 3: {\"number\":3,\"total_cents\":1250}",
            ],
            _ => ["missing       0", "Every committed event arrived"],
        };
        for word in words {
            assert!(printed.contains(word), "{example} prints no {word:?}: {printed}");
        }
    }
}

#[tokio::test]
async fn the_sql_of_the_guide_writes_messages() {
    let database = TestDatabase::postgres().await;
    let pool = &database.pool;
    for sql in [
        "CREATE TABLE events (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), order_id bigint, event_type text,
            payload jsonb, created_at timestamptz, published_at timestamptz)",
        "INSERT INTO events (order_id, event_type, payload, created_at, published_at) VALUES
            (3, 'OrderPaid', '{}', now(), NULL),
            (3, 'OrderPlaced', '{}', now() - interval '1 hour', NULL),
            (2, 'OrderPlaced', '{}', now() - interval '2 hours', now())",
    ] {
        sqlx::query(sql).execute(pool).await.expect("the old outbox is there");
    }

    for file in ["docs/guide/service.md", "docs/guide/from-a-hand-made-outbox.md"] {
        let page = page(file);
        let sql = blocks(&page, "sql");
        assert_eq!(sql.len(), 1, "{file}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql[0].to_owned()))
            .execute(pool)
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    let rows = sqlx::query("SELECT aggregate_id, event_type FROM outbox_messages ORDER BY seq")
        .fetch_all(pool)
        .await
        .expect("messages can be read");
    let rows: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(key, kind)| (&**key, &**kind)).collect();
    assert_eq!(
        rows,
        [("17", "OrderPlacedV1"), ("3", "OrderPlaced"), ("3", "OrderPaid")]
    );
}

/// The lines of a relay's log that have a name, and no other names.
#[test]
fn each_named_line_of_a_log_is_documented() {
    let health = page("docs/guide/health.md");
    let (_, table) = health.split_once("| `event` |").expect("there is a table");
    let documented: BTreeSet<&str> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            line.split('|')
                .nth(1)
                .unwrap_or_default()
                .split('`')
                .skip(1)
                .step_by(2)
        })
        .collect();
    let mut named = BTreeSet::new();
    let mut sources = String::new();
    for folder in ["outbox-runtime/src", "outbox-codegen/src"] {
        read_sources(&root().join(folder), &mut sources);
    }
    for behind in sources.split("event = \"").skip(1) {
        named.extend(behind.split('"').next());
    }
    assert_eq!(named, documented);
}

/// All Rust sources below a folder, in one text.
fn read_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            read_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(&path).expect("the source can be read");
        }
    }
}

/// All pages, by path, without their code blocks.
fn pages() -> HashMap<PathBuf, String> {
    let mut found = HashMap::new();
    for folder in [
        "",
        "docs",
        "docs/guide",
        "docs/decisions",
        "examples",
        "docs/runbooks",
        "examples/file-service",
    ] {
        let entries = fs::read_dir(root().join(folder)).expect("the folder can be read");
        for path in entries.map(|entry| entry.expect("the entry can be read").path()) {
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).expect("the page can be read");
                let prose: Vec<&str> = text.split("```").step_by(2).collect();
                found.insert(path, prose.concat());
            }
        }
    }
    found
}

/// The anchors that GitHub makes of headings, and those that are written out.
fn anchors(page: &str) -> HashSet<String> {
    let headings = page.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.trim().to_lowercase())
    });
    let slugs = headings.map(|heading| {
        let kept = heading
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().replace(' ', "-")
    });
    let written = page
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    slugs.chain(written.map(str::to_owned)).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let pages = pages();
    let mut checked = 0;
    for (path, text) in &pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = path.parent().expect("a page is in a folder");
            let file = match file {
                "" => path.clone(),
                _ => folder.join(file),
            };
            let file = file.canonicalize();
            let file = file.unwrap_or_else(|error| panic!("{}: {target}: {error}", path.display()));
            let leads = anchor.is_empty()
                || pages
                    .get(&file)
                    .is_some_and(|page| anchors(page).contains(anchor));
            assert!(leads, "{}: there is no {target}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} links were found");
}
