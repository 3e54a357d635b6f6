//! The tables' definition as text: the one source that files and [`migrate`](super::migrate) share.

use super::{Dialect, Tables};

/// The version of the tables that this library reads and writes.
pub const SCHEMA_VERSION: i32 = 2;

/// "outbox" in ASCII: whoever changes the tables holds this advisory lock, whatever tool it is.
pub(super) const ADVISORY_LOCK: i64 = 0x6f75_7462_6f78;

/// A random UUID, version 4, in SQL that every SQLite understands.
const SQLITE_UUID: &str = "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || \
     substr(hex(randomblob(2)), 2) || '-' || substr('89AB', 1 + (random() & 3), 1) || \
     substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))";

/// One step of the schema: SQL that makes it and SQL that takes it back.
///
/// Pure text, the same everywhere. Its files are reversible migrations as sqlx knows them, and plain SQL for
/// `psql` and `sqlite3`; what they apply is recorded in `outbox_schema`, so that
/// [`migrate`](super::migrate) finds nothing left to do.
///
/// ```
/// use outbox_runtime::{Tables, schema::{Dialect, Migration}};
///
/// let migration = Migration::create(Dialect::Postgres, &Tables::default());
/// assert_eq!(migration.up_file(), "20250101000000_create_outbox_tables.up.sql");
/// assert!(migration.up().contains("xid8"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    version: i64,
    name: String,
    up: String,
    down: String,
}

/// The SQL of one step, up and down.
type Templates = (&'static str, &'static str);

impl Migration {
    /// Makes the tables of [`SCHEMA_VERSION`] where there are none.
    pub fn create(dialect: Dialect, tables: &Tables) -> Self {
        let templates = match dialect {
            Dialect::Postgres => (
                include_str!("sql/postgres/create.2.up.sql"),
                include_str!("sql/postgres/create.2.down.sql"),
            ),
            Dialect::Sqlite => (
                include_str!("sql/sqlite/create.2.up.sql"),
                include_str!("sql/sqlite/create.2.down.sql"),
            ),
        };
        let name = format!("create_{}tables", named(tables));
        Self::step(20_250_101, name, templates, SCHEMA_VERSION, dialect, tables)
    }

    /// The steps that lead from the tables of version `from` to [`SCHEMA_VERSION`], oldest first.
    pub fn upgrades(dialect: Dialect, tables: &Tables, from: i32) -> Vec<Self> {
        let to_2 = match dialect {
            Dialect::Postgres => (
                include_str!("sql/postgres/upgrade.2.up.sql"),
                include_str!("sql/postgres/upgrade.2.down.sql"),
            ),
            Dialect::Sqlite => (
                include_str!("sql/sqlite/upgrade.2.up.sql"),
                include_str!("sql/sqlite/upgrade.2.down.sql"),
            ),
        };
        let steps: [(i32, i64, Templates); 1] = [(2, 20_261_124, to_2)];
        let wanted = steps.into_iter().filter(|(version, ..)| *version > from);
        wanted
            .map(|(version, day, templates)| {
                let name = format!("upgrade_{}tables_to_{version}", named(tables));
                Self::step(day, name, templates, version, dialect, tables)
            })
            .collect()
    }

    fn step(
        day: i64,
        name: String,
        (up, down): Templates,
        version: i32,
        dialect: Dialect,
        tables: &Tables,
    ) -> Self {
        Self {
            version: day * 1_000_000 + time_of_day(tables),
            name,
            up: render(up, version, dialect, tables),
            down: render(down, version, dialect, tables),
        }
    }

    /// The number that tools order migrations by, written as a time (`YYYYMMDDHHMMSS`).
    ///
    /// It is fixed: the same tables have the same version everywhere. Other tables have another one, so that
    /// the migrations of two logs can lie in one directory.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// What stands behind the version in the files' names.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the tables. Harmless where they are there already.
    pub fn up(&self) -> &str {
        &self.up
    }

    /// Drops the tables; fails while a message is undelivered or a dead letter is left.
    pub fn down(&self) -> &str {
        &self.down
    }

    /// The file's name for [`up`](Self::up).
    pub fn up_file(&self) -> String {
        format!("{}_{}.up.sql", self.version, self.name)
    }

    /// The file's name for [`down`](Self::down).
    pub fn down_file(&self) -> String {
        format!("{}_{}.down.sql", self.version, self.name)
    }
}

/// `HHMMSS`: midnight for the default names, else a time that follows from the names (FNV-1a).
fn time_of_day(tables: &Tables) -> i64 {
    if *tables == Tables::default() {
        return 0;
    }
    let names = format!("{}.{}", tables.schema().unwrap_or_default(), tables.prefix());
    let hash = names.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let second = 1 + i64::from(hash % 86_399);
    second / 3_600 * 10_000 + second / 60 % 60 * 100 + second % 60
}

/// What the tables are called in a file's name.
fn named(tables: &Tables) -> String {
    match tables.schema() {
        Some(schema) => format!("{schema}_{}", tables.prefix()),
        None => tables.prefix().to_owned(),
    }
}

/// Fills the names into a template.
fn render(template: &str, version: i32, dialect: Dialect, tables: &Tables) -> String {
    let arguments = tables.as_arguments();
    let values = [
        (
            "{generated}",
            format!("Generated by `outbox generate migration --database {dialect}{arguments}`."),
        ),
        ("{version}", version.to_string()),
        ("{lock}", ADVISORY_LOCK.to_string()),
        (
            "{create_schema}",
            tables.schema().map(create_schema).unwrap_or_default(),
        ),
        ("{uuid}", SQLITE_UUID.to_owned()),
        ("{p}", tables.prefix().to_owned()),
        ("{messages}", tables.messages()),
        ("{lease}", tables.lease()),
        ("{cursor}", tables.cursor()),
        ("{dead_letters}", tables.dead_letters()),
        (
            "{dead_letters_topic_idx}",
            tables.quoted("dead_letters_topic_idx"),
        ),
        (
            "{dead_letters_replay_idx}",
            tables.quoted("dead_letters_replay_idx"),
        ),
        ("{inbox}", tables.inbox()),
        ("{inbox_dead_letters}", tables.inbox_dead_letters()),
        ("{schema_version}", tables.schema_version()),
    ];
    values
        .iter()
        .fold(template.to_owned(), |sql, (name, value)| sql.replace(name, value))
}

/// Asks first: `CREATE SCHEMA IF NOT EXISTS` wants a right that is not needed where the schema is there.
fn create_schema(schema: &str) -> String {
    format!(
        "DO $outbox$ BEGIN\n    \
             IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}') THEN\n        \
                 CREATE SCHEMA \"{schema}\";\n    \
             END IF;\nEND $outbox$;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Tables {
        Tables::new(Some("billing"), "events_").unwrap()
    }

    fn all(dialect: Dialect, tables: &Tables) -> Vec<Migration> {
        let mut all = Migration::upgrades(dialect, tables, 1);
        all.push(Migration::create(dialect, tables));
        all
    }

    #[test]
    fn nothing_is_left_to_fill_in_and_no_name_is_hard_coded() {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            for migration in all(dialect, &named()) {
                for sql in [migration.up(), migration.down()] {
                    assert!(!sql.replace("{}", "").contains('{'), "{sql}");
                    assert!(!sql.contains("outbox_"), "{sql}");
                }
            }
        }
    }

    #[test]
    fn each_set_of_tables_has_a_version_of_its_own_that_is_a_time() {
        let version = |tables: &Tables| Migration::create(Dialect::Postgres, tables).version();
        let others = [
            named(),
            Tables::new(None, "events_").unwrap(),
            Tables::new(None, "billing_events_").unwrap(),
            Tables::new(Some("billing"), "outbox_").unwrap(),
        ];
        for (index, tables) in others.iter().enumerate() {
            let version = version(tables);
            assert!(
                version > 20_250_101_000_000 && version / 1_000_000 == 20_250_101,
                "{version}"
            );
            assert!(
                version / 10_000 % 100 < 24 && version / 100 % 100 < 60 && version % 100 < 60,
                "{version}"
            );
            assert!(
                others[..index]
                    .iter()
                    .all(|other| self::tests::version_of(other) != version)
            );
        }
        assert_eq!(version(&Tables::default()), 20_250_101_000_000);
    }

    fn version_of(tables: &Tables) -> i64 {
        Migration::create(Dialect::Postgres, tables).version()
    }

    #[test]
    fn the_header_says_how_to_write_the_file_again() {
        let sql = Migration::create(Dialect::Postgres, &named()).up().to_owned();
        let first = sql.lines().next().unwrap();
        assert_eq!(
            first,
            "-- Generated by `outbox generate migration --database postgres --schema billing --prefix events_`."
        );
        assert!(sql.contains("CREATE SCHEMA \"billing\""));
    }
}
