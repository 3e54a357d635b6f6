//! What the tables are made of: as their SQL says, and as a database has them.

mod compare;
mod expected;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use std::fmt::{self, Write as _};

pub use compare::{Finding, Severity};

pub(super) use compare::compare;
pub(super) use expected::expected;

/// A table, under the part of its name that follows the prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub(super) suffix: String,
    pub(super) columns: Vec<Column>,
    pub(super) indexes: Vec<Index>,
    /// The names of checks.
    pub(super) checks: Vec<String>,
    pub(super) triggers: Vec<Trigger>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// Why it does not work everywhere, such as `disabled`.
    pub(super) flaw: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    /// That the database hands its numbers out once, in its own words.
    pub(super) numbered: Option<&'static str>,
    /// Stored as it is, so that its size is known without reading it.
    pub(super) uncompressed: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) columns: Vec<String>,
    pub(super) unique: bool,
    pub(super) predicate: Option<String>,
}

impl Trigger {
    /// The flaw of one that was switched off.
    const DISABLED: &str = "disabled";
}

/// PostgreSQL's words for [`Column::numbered`].
const IDENTITY: &str = "generated always as identity";
/// SQLite's.
const AUTOINCREMENT: &str = "autoincrement";

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.required {
            f.write_str(" not null")?;
        }
        if let Some(default) = &self.default {
            write!(f, " default {default}")?;
        }
        if let Some(numbered) = self.numbered {
            write!(f, " {numbered}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.columns.join(", "))?;
        match &self.predicate {
            Some(predicate) => write!(f, " where {predicate}"),
            None => Ok(()),
        }
    }
}

/// An expression as every server writes it: without casts, outer parentheses and line breaks.
pub(super) fn plain(expression: &str) -> String {
    let mut plain = String::new();
    let mut rest = expression.trim();
    while let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        if !is_balanced(inner) {
            break;
        }
        rest = inner.trim();
    }
    let mut pieces = rest.split("::");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        // The type's name goes, what follows it stays.
        let end = piece.find(|character: char| !(character.is_alphanumeric() || character == '_'));
        // Writing to a string cannot fail.
        let _ = write!(plain, "{}", &piece[end.unwrap_or(piece.len())..]);
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether no parenthesis closes before it was opened.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().all(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth >= 0
    })
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn expressions_are_the_same_however_a_server_writes_them() {
        for (written, same) in [
            ("'{}'::jsonb", "'{}'"),
            ("(state = 'parked'::text)", "state = 'parked'"),
            ("(a) || (b)", "(a) || (b)"),
            (
                "((replay_requested_at IS NOT NULL))",
                "replay_requested_at IS NOT NULL",
            ),
            ("now()", "now()"),
            ("'a'::character varying || 'b'", "'a' varying || 'b'"),
        ] {
            assert_eq!(plain(written), same);
        }
    }
}
