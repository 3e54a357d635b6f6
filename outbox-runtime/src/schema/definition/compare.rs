//! What differs between the tables as they should be and as they are.

use std::fmt;

use super::{Column, Index, Table, Trigger};

/// Severity of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Reads or writes would fail or lose data. A relay does not start.
    Error,
    /// Everything works, but slower or with fewer safeguards. A relay logs it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A difference between a database's tables and this version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The table, without its schema.
    pub table: String,
    /// The object of the table: `table`, `column topic`, `index (xid, seq)`.
    pub object: String,
    /// The expected definition.
    pub expected: String,
    /// The actual definition; `None` if it is missing.
    pub found: Option<String>,
    /// A statement or command that corrects it, if there is one.
    pub mend: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            object,
            expected,
            ..
        } = self;
        match &self.found {
            Some(found) => write!(f, "{table}: {object} is {found}, it should be {expected}"),
            None if expected.is_empty() => write!(f, "{table}: {object} is missing"),
            None => write!(f, "{table}: {object} is missing, it should be {expected}"),
        }?;
        match &self.mend {
            Some(mend) => write!(f, " (run `{mend}`)"),
            None => Ok(()),
        }
    }
}

/// Compares table by table, column by column, index by index. What is there beyond the expected is ignored.
pub(in crate::schema) fn compare(prefix: &str, expected: &[Table], found: &[Table]) -> Vec<Finding> {
    let mut comparison = Comparison::default();
    for table in expected {
        comparison.table = format!("{prefix}{}", table.suffix);
        match found.iter().find(|there| there.suffix == table.suffix) {
            None => comparison.report(Severity::Error, "the table".to_owned(), String::new(), None),
            Some(there) => {
                comparison.columns(table, there);
                comparison.indexes(table, there);
                comparison.triggers(table, there);
                comparison.checks(table, there);
            }
        }
    }
    comparison.findings
}

/// The findings so far, and the table that is compared.
#[derive(Default)]
struct Comparison {
    table: String,
    findings: Vec<Finding>,
}

impl Comparison {
    fn report(&mut self, severity: Severity, object: String, expected: String, found: Option<String>) {
        self.findings.push(Finding {
            severity,
            table: self.table.clone(),
            object,
            expected,
            found,
            mend: None,
        });
    }

    fn columns(&mut self, table: &Table, there: &Table) {
        for column in &table.columns {
            let same_name = there.columns.iter().find(|there| there.name == column.name);
            let object = format!("column {}", column.name);
            match same_name {
                None => self.report(Severity::Error, object, column.to_string(), None),
                Some(there) if !works_as(there, column) => {
                    self.report(
                        Severity::Error,
                        object,
                        column.to_string(),
                        Some(there.to_string()),
                    );
                }
                Some(there) if column.uncompressed && !there.uncompressed => {
                    let object = format!("the storage of {object}");
                    let (expected, found) = ("external".to_owned(), Some("another".to_owned()));
                    self.report(Severity::Warning, object, expected, found);
                }
                Some(_) => {}
            }
        }
        for column in &there.columns {
            let is_ours = table.columns.iter().any(|ours| ours.name == column.name);
            if !is_ours && column.required && column.default.is_none() && column.numbered.is_none() {
                self.report(
                    Severity::Error,
                    format!("column {}", column.name),
                    "nullable or with a default: every insert fails".to_owned(),
                    Some(column.to_string()),
                );
            }
        }
    }

    fn indexes(&mut self, table: &Table, there: &Table) {
        for index in &table.indexes {
            if there.indexes.iter().any(|there| serves_as(there, index)) {
                continue;
            }
            let (severity, kind) = match index.unique {
                // What is written once by id relies on it.
                true => (Severity::Error, "primary key or unique index"),
                false => (Severity::Warning, "index"),
            };
            self.report(severity, format!("{kind} {index}"), String::new(), None);
        }
    }

    fn triggers(&mut self, table: &Table, there: &Table) {
        for trigger in &table.triggers {
            let found = there.triggers.iter().find(|there| there.name == trigger.name);
            if let Some((should_be, is)) = trigger_flaw(&self.table, trigger, found) {
                self.report(
                    Severity::Warning,
                    format!("trigger {}", trigger.name),
                    should_be,
                    is,
                );
                if let Some(finding) = self.findings.last_mut() {
                    finding.mend = found.and_then(|found| found.mend.clone());
                }
            }
        }
    }

    fn checks(&mut self, table: &Table, there: &Table) {
        for check in &table.checks {
            if !there.checks.contains(check) {
                self.report(
                    Severity::Warning,
                    format!("constraint {check}"),
                    String::new(),
                    None,
                );
            }
        }
    }
}

/// What a trigger should be and what it is, if that is not the same.
fn trigger_flaw(table: &str, wanted: &Trigger, found: Option<&Trigger>) -> Option<(String, Option<String>)> {
    let made_again = "made again by the file that `outbox generate migration` writes into an empty directory";
    let Some(found) = found else {
        return Some((made_again.to_owned(), None));
    };
    let flaw = found.flaw.clone()?;
    let mend = match flaw.as_str() {
        Trigger::DISABLED => format!("enabled: ALTER TABLE {table} ENABLE TRIGGER {}", wanted.name),
        _ => made_again.to_owned(),
    };
    Some((mend, Some(flaw)))
}

fn works_as(there: &Column, wanted: &Column) -> bool {
    there.kind.eq_ignore_ascii_case(&wanted.kind)
        && there.required == wanted.required
        && there.default == wanted.default
        && there.numbered == wanted.numbered
}

fn serves_as(there: &Index, wanted: &Index) -> bool {
    let columns = if wanted.unique {
        there.unique && same_columns(&there.columns, &wanted.columns)
    } else {
        there.columns.starts_with(&wanted.columns)
    };
    // An index of all rows serves those of some.
    columns && (there.predicate.is_none() || there.predicate == wanted.predicate)
}

fn same_columns(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|column| other.contains(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tables;
    use crate::schema::Dialect;
    use crate::schema::definition::expected;

    fn findings(change: impl FnOnce(&mut Vec<Table>)) -> Vec<String> {
        let wanted = expected(Dialect::Postgres, &Tables::default());
        let mut there = wanted.clone();
        change(&mut there);
        let findings = compare("outbox_", &wanted, &there);
        findings
            .iter()
            .map(|finding| format!("{}: {finding}", finding.severity))
            .collect()
    }

    #[test]
    fn what_is_the_same_or_more_is_fine() {
        let none = findings(|there| {
            there[0].columns.push(Column::default());
            there[0].indexes.push(Index::default());
            there[0].indexes[1].columns.push("topic".to_owned());
            there[0].checks.push("mine".to_owned());
            there[0].triggers.push(Trigger::default());
            there.push(Table::default());
        });
        assert_eq!(none, Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named() {
        assert_eq!(
            findings(|there| drop(there.remove(4))),
            ["error: outbox_inbox: the table is missing"]
        );
        assert_eq!(
            findings(|there| there[0].columns[6].kind = "integer".to_owned()),
            ["error: outbox_messages: column topic is integer not null, it should be text not null"]
        );
        assert_eq!(
            findings(|there| there[0].columns[6].required = false),
            ["error: outbox_messages: column topic is text, it should be text not null"]
        );
        assert_eq!(
            findings(|there| drop(there[0].columns.remove(0))),
            [
                "error: outbox_messages: column xid is missing, it should be xid8 not null default pg_current_xact_id()"
            ]
        );
        assert_eq!(
            findings(|there| there[0].indexes[1].columns.reverse()),
            ["warning: outbox_messages: index (xid, seq) is missing"]
        );
        assert_eq!(
            findings(|there| there[0].indexes[0].unique = false),
            ["error: outbox_messages: primary key or unique index (seq) is missing"]
        );
        assert_eq!(
            findings(|there| there[0].columns[7].uncompressed = false),
            ["warning: outbox_messages: the storage of column payload is another, it should be external"]
        );
        assert_eq!(
            findings(|there| there[0].triggers[0].flaw = Some(Trigger::DISABLED.to_owned())),
            [
                "warning: outbox_messages: trigger keep_undelivered_from_delete is disabled, it should be enabled: ALTER \
                 TABLE outbox_messages ENABLE TRIGGER keep_undelivered_from_delete"
            ]
        );
        assert_eq!(
            findings(|there| drop(there[0].triggers.remove(1))),
            [
                "warning: outbox_messages: trigger keep_undelivered_from_truncate is missing, it should be made again by \
                 the file that `outbox generate migration` writes into an empty directory"
            ]
        );
        assert_eq!(
            findings(|there| drop(there[0].checks.remove(0))),
            ["warning: outbox_messages: constraint outbox_messages_one_payload is missing"]
        );
    }
}
