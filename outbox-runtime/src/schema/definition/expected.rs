//! Reads the definition out of the SQL that makes the tables, so that it stands in one place. The SQL is ours: a
//! column has a line, and what belongs to it is indented below.

use super::{AUTOINCREMENT, Column, IDENTITY, Index, Table, Trigger, plain};
use crate::Tables;
use crate::schema::{Dialect, Migration};

/// The tables of this version.
pub(in crate::schema) fn expected(dialect: Dialect, tables: &Tables) -> Vec<Table> {
    made_by(&Migration::create(dialect, tables), tables)
}

/// The tables that a migration from nothing makes.
pub(in crate::schema) fn made_by(migration: &Migration, tables: &Tables) -> Vec<Table> {
    // In SQLite's script the semicolons lead the lines.
    let sql = migration.up().replace("\n; ", "\n").replace("\n;", "\n");
    let mut found: Vec<Table> = Vec::new();
    let mut lines = sql.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            let mut table = Table {
                suffix: suffix(name, tables),
                ..Table::default()
            };
            for line in lines.by_ref().take_while(|line| !line.starts_with(')')) {
                table.take(line);
            }
            found.push(table);
        } else if let Some(index) = line.strip_prefix("CREATE INDEX IF NOT EXISTS ") {
            let Some((_, on)) = index.split_once(" ON ") else {
                continue;
            };
            let Some((_, columns)) = on.split_once(" (") else {
                continue;
            };
            let columns = columns.trim_end_matches([';', ')', ' ']);
            let condition = lines.next_if(|line| line.trim_start().starts_with("WHERE "));
            let condition =
                condition.map(|line| plain(line.trim().trim_start_matches("WHERE ").trim_end_matches(';')));
            let table = found.iter_mut().find(|table| table.suffix == suffix(on, tables));
            if let Some(table) = table {
                table.indexes.push(Index {
                    columns: list(columns),
                    unique: false,
                    predicate: condition,
                });
            }
        } else if let Some((on, name)) = trigger(line, tables) {
            if let Some(table) = found.iter_mut().find(|table| table.suffix == on) {
                table.triggers.push(Trigger {
                    name,
                    ..Trigger::default()
                });
            }
        } else if let Some(name) = line.strip_prefix("ALTER TABLE ") {
            let table = found
                .iter_mut()
                .find(|table| table.suffix == suffix(name, tables));
            let Some(table) = table else { continue };
            while let Some(line) = lines.next_if(|line| line.contains(" SET STORAGE EXTERNAL")) {
                let name = between(line, "ALTER COLUMN ", " ").unwrap_or_default();
                let column = table.columns.iter_mut().find(|column| column.name == name);
                if let Some(column) = column {
                    column.uncompressed = true;
                }
            }
        }
    }
    found
}

impl Table {
    /// A line between the table's parentheses.
    fn take(&mut self, line: &str) {
        let text = line.trim().trim_end_matches(',');
        let column = line.starts_with("    ") && text.starts_with(|first: char| first.is_ascii_lowercase());
        if column && !line.starts_with("     ") {
            let column = column_of(text);
            if text.contains(" PRIMARY KEY") {
                self.key(vec![column.name.clone()]);
            }
            self.columns.push(column);
        } else if let Some(columns) = key_of(text) {
            self.key(list(columns));
        } else if let Some(name) = between(text, "CONSTRAINT \"", "\"") {
            self.checks.push(name.to_owned());
        }
    }

    fn key(&mut self, columns: Vec<String>) {
        self.indexes.push(Index {
            columns,
            unique: true,
            predicate: None,
        });
    }
}

fn key_of(line: &str) -> Option<&str> {
    let columns = line
        .strip_prefix("PRIMARY KEY (")
        .or_else(|| line.strip_prefix("UNIQUE ("))?;
    columns.strip_suffix(')')
}

fn column_of(text: &str) -> Column {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let kind = words.next().unwrap_or_default();
    let default = text.split_once(" DEFAULT ").map(|(_, default)| {
        let end = [" CHECK ", " CONSTRAINT "]
            .iter()
            .filter_map(|word| default.find(word))
            .min();
        plain(&default[..end.unwrap_or(default.len())])
    });
    Column {
        name,
        kind: match kind {
            "timestamptz" => "timestamp with time zone".to_owned(),
            other => other.to_owned(),
        },
        required: text.contains(" NOT NULL") || text.contains(" PRIMARY KEY") || text.contains(" IDENTITY"),
        default,
        numbered: match text {
            _ if text.contains(" AS IDENTITY") => Some(IDENTITY),
            _ if text.contains(" AUTOINCREMENT") => Some(AUTOINCREMENT),
            _ => None,
        },
        uncompressed: false,
    }
}

/// What follows the prefix in the table's name that the text begins with.
fn suffix(text: &str, tables: &Tables) -> String {
    let name = text.split([' ', '(']).next().unwrap_or_default();
    let bare = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
    bare.strip_prefix(tables.prefix()).unwrap_or(bare).to_owned()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

/// Columns and expressions between commas.
fn list(columns: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let separated = columns.split(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        character == ',' && depth == 0
    });
    separated.map(|column| column.trim().to_owned()).collect()
}

/// The trigger that a line makes, and the table that it belongs to. PostgreSQL's are made for the log and each of its
/// partitions.
fn trigger(line: &str, tables: &Tables) -> Option<(String, String)> {
    let (_, made) = line.split_once("CREATE TRIGGER ")?;
    let made = made.strip_prefix("IF NOT EXISTS ").unwrap_or(made);
    let (name, _) = made.split_once(' ')?;
    let bare = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
    let (_, on) = made.split_once(" ON ")?;
    let table = match on.starts_with("%s") {
        true => "messages".to_owned(),
        false => suffix(on, tables),
    };
    Some((table, bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_postgres() -> Vec<Table> {
        let tables = Tables::new(Some("billing"), "events_").unwrap();
        expected(Dialect::Postgres, &tables)
    }

    #[test]
    fn tables_and_columns_are_read_as_they_are_meant() {
        let found = in_postgres();
        let names: Vec<_> = found.iter().map(|table| table.suffix.as_str()).collect();
        assert_eq!(
            names,
            [
                "messages",
                "lease",
                "cursor",
                "dead_letters",
                "inbox",
                "inbox_dead_letters",
                "controls",
                "audit",
                "modes",
                "schema"
            ]
        );
        let messages = &found[0];
        let column = |name: &str| {
            messages
                .columns
                .iter()
                .find(|column| column.name == name)
                .unwrap()
        };
        assert_eq!(messages.columns.len(), 13);
        assert_eq!(
            column("seq").to_string(),
            "bigint not null generated always as identity"
        );
        assert_eq!(column("headers").to_string(), "jsonb not null default '{}'");
        assert_eq!(
            column("occurred_at").to_string(),
            "timestamp with time zone not null default now()"
        );
        assert!(column("payload").uncompressed && !column("topic").uncompressed);
        assert_eq!(
            messages.checks,
            ["events_messages_one_payload", "events_messages_headers_object"]
        );
    }

    #[test]
    fn indexes_and_triggers_are_read_as_they_are_meant() {
        let found = in_postgres();
        let messages = &found[0];
        let indexes: Vec<_> = messages.indexes.iter().map(Index::to_string).collect();
        assert_eq!(indexes, ["(seq)", "(xid, seq)"]);
        let triggers: Vec<_> = messages
            .triggers
            .iter()
            .map(|trigger| trigger.name.as_str())
            .collect();
        assert_eq!(
            triggers,
            ["keep_undelivered_from_delete", "keep_undelivered_from_truncate"]
        );
        let keys = &found[3].indexes[1];
        assert_eq!(
            keys.to_string(),
            "(substr(topic, 1, 250), hashtextextended(aggregate_id, 0), position)"
        );
        let replay = found[3]
            .indexes
            .iter()
            .find(|index| index.columns == ["position"])
            .unwrap();
        assert_eq!(
            replay.to_string(),
            "(position) where replay_requested_at IS NOT NULL"
        );
    }

    #[test]
    fn sqlite_has_the_same_tables() {
        let found = expected(Dialect::Sqlite, &Tables::default());
        assert_eq!(found.len(), 10);
        let messages = found.iter().find(|table| table.suffix == "messages").unwrap();
        assert_eq!(messages.columns.len(), 12);
        assert!(messages.columns[0].numbered == Some(AUTOINCREMENT) && messages.indexes[0].unique);
        assert_eq!(messages.checks.len(), 6);
        assert_eq!(messages.triggers[0].name, "outbox_keep_undelivered");
        let inbox = found.iter().find(|table| table.suffix == "inbox").unwrap();
        assert_eq!(inbox.indexes.len(), 2);
    }
}
