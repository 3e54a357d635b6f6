//! Alembic revisions: Python that runs our SQL, and the places of revisions in a history.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use outbox_runtime::schema::{Dialect, Migration, Step};

use crate::failure::Failure;

/// The revision's file. `up` is the migration's SQL with its header; `down_revision` is Python: a quoted revision, a
/// tuple of them, or `None`.
pub(super) fn revision(migration: &Migration, up: &str, dialect: Dialect, down_revision: &str) -> String {
    let (up, down) = (Script::of(up, dialect), Script::of(migration.down(), dialect));
    let (title, revision) = (title(migration), id(migration));
    // The header comes first, and the sentence with the version; other comments stand where they matter.
    let (whose, about_up) = up.about.split_at(up.about.len().min(3));
    let about_down = down.about.get(1..).unwrap_or_default();
    format!(
        r#"{whose}
"""{title}"""

from alembic import op
from sqlalchemy import text

revision = "{revision}"
# Yours to change when the history is put in another order; all else is compared.
down_revision = {down_revision}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {about_up}
    _run({up})


def downgrade() -> None:
    {about_down}
    _run({down})


def _run(*statements: str) -> None:
    for statement in statements:
        # text() would take `:name` for a parameter.
        op.execute(text(statement.replace(":", r"\:")))
"#,
        whose = commented(whose, "\n"),
        about_up = commented(about_up, "\n    "),
        about_down = commented(about_down, "\n    ").replace(UNCOMMENT, "uncomment the lines below:"),
        up = up.arguments(),
        down = down.arguments(),
    )
}

/// What is left of "uncomment the next line" when that line holds several statements.
const UNCOMMENT: &str = "uncomment the next line:";

/// One direction of a migration, taken apart.
struct Script<'a> {
    /// The comment that it begins with, a line each.
    about: Vec<&'a str>,
    /// What drops everything all the same; commented out.
    forced: Vec<&'a str>,
    /// Drivers take one statement at a time.
    statements: Vec<String>,
}

impl<'a> Script<'a> {
    fn of(sql: &'a str, dialect: Dialect) -> Self {
        let (about, body) = sql.split_once("\n\n").unwrap_or(("", sql));
        let mut about: Vec<_> = about.lines().map(|line| line.trim_start_matches("-- ")).collect();
        let forced = match about.iter().position(|line| line.ends_with(UNCOMMENT)) {
            Some(last) => about.split_off(last + 1),
            None => Vec::new(),
        };
        let forced = forced.iter().flat_map(|line| line.split_inclusive(';'));
        Self {
            forced: forced.map(str::trim).collect(),
            about,
            statements: statements(body, dialect),
        }
    }

    /// Python: the arguments of a call.
    fn arguments(&self) -> String {
        let forced = self
            .forced
            .iter()
            .map(|statement| format!("\n        # {statement:?},"));
        let statements = self
            .statements
            .iter()
            .map(|statement| format!("\n        r\"\"\"{statement}\n\"\"\","));
        forced.chain(statements).collect::<String>() + "\n    "
    }
}

/// In PostgreSQL it is one. In SQLite semicolons lead the lines, and comments stand before them.
fn statements(sql: &str, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Postgres => vec![sql.trim_end().to_owned()],
        Dialect::Sqlite => {
            let lines = sql
                .lines()
                .filter(|line| !line.starts_with("--") && !line.is_empty());
            let bare = lines.collect::<Vec<_>>().join("\n");
            let statements = bare.split("\n;").map(str::trim);
            statements
                .filter(|statement| !statement.is_empty())
                .map(str::to_owned)
                .collect()
        }
    }
}

fn commented(lines: &[&str], line_end: &str) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("# {line}")).collect();
    lines.join(line_end)
}

fn title(migration: &Migration) -> String {
    let words = migration.name().replace('_', " ");
    match migration.step() {
        Step::Create(version) => format!("{words}, version {version}"),
        Step::Upgrade(_) => words,
    }
}

/// The same for the same tables and step, everywhere (FNV-1a), as Alembic writes its own.
pub(super) fn id(migration: &Migration) -> String {
    let named = format!("{}.{:?}", migration.name(), migration.step());
    let hash = named.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:012x}", hash >> 16)
}

/// What stands behind `down_revision =` in a file.
pub(super) fn down_revision_of(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    Ok(assigned(&text, "down_revision").unwrap_or("None").to_owned())
}

/// The one revision of a directory that no other one stands behind, quoted; `None` if there is none at all.
pub(super) fn only_head(directory: &Path) -> Result<String, Failure> {
    let (mut revisions, mut followed) = (BTreeSet::new(), BTreeSet::new());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "py") {
            continue;
        }
        let text = read(&path)?;
        let named = |name| strings(assigned(&text, name).unwrap_or_default());
        revisions.extend(named("revision"));
        followed.extend(named("down_revision"));
    }
    let heads: Vec<_> = revisions.difference(&followed).collect();
    match heads[..] {
        [] => Ok("None".to_owned()),
        [head] => Ok(format!("{head:?}")),
        _ => Err(Failure::usage(format!(
            "`{}` has several heads: {}",
            directory.display(),
            heads
                .iter()
                .map(|head| head.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .advise("choose the revision to follow with --down-revision <id>")),
    }
}

/// The value of a variable at the top of a Python file, on one line or in parentheses.
fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix(name).and_then(|rest| {
            let typed_or_not = rest.trim_start().starts_with([':', '=']);
            typed_or_not.then(|| rest.split_once('=')).flatten()
        });
        if let Some((_, value)) = rest {
            let from = line_start + line.len() - value.len();
            let value = text[from..].trim_start();
            let end = if value.starts_with('(') {
                value.find(')').map(|end| end + 1)
            } else {
                value.find(['\n', '#'])
            };
            return Some(value[..end.unwrap_or(value.len())].trim());
        }
        line_start += line.len();
    }
    None
}

/// The quoted strings in a piece of Python.
fn strings(python: &str) -> impl Iterator<Item = String> {
    let quote = if python.contains('"') { '"' } else { '\'' };
    let odd = python.split(quote).skip(1).step_by(2);
    odd.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("cannot read `{}`", path.display())).because(error))
}

#[cfg(test)]
mod tests {
    use outbox_runtime::Tables;

    use super::*;

    #[test]
    fn a_place_in_history_is_read_however_it_is_written() {
        for (python, expected) in [
            ("revision = \"a1\"\ndown_revision = None\n", "None"),
            ("down_revision: str | None = 'b2'  # after the split\n", "'b2'"),
            (
                "down_revision: Union[str, None] = (\n    \"a\",\n    \"b\",\n)\n",
                "(\n    \"a\",\n    \"b\",\n)",
            ),
        ] {
            assert_eq!(assigned(python, "down_revision"), Some(expected), "{python}");
        }
        assert_eq!(assigned("down_revision = 'a'", "revision"), None);
        assert_eq!(strings("('a', 'b')").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn revisions_keep_their_ids() {
        let id = |prefix: &str| {
            id(&Migration::create(
                Dialect::Postgres,
                &Tables::new(None, prefix).unwrap(),
            ))
        };
        assert_ne!(id("outbox_"), id("billing_"));
        let sqlite = Migration::create(Dialect::Sqlite, &Tables::default());
        assert_eq!(id("outbox_"), super::id(&sqlite));
    }

    #[test]
    fn no_statement_ends_its_own_quotes() {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            for migration in Migration::history(dialect, &Tables::default(), 1) {
                for sql in [migration.up(), migration.down()] {
                    assert!(!sql.contains("\"\"\"") && !sql.contains('\\'), "{sql}");
                }
            }
        }
    }
}
