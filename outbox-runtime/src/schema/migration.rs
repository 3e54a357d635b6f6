//! The tables' definition as text: the one source that files and [`migrate`](super::migrate) share.

use super::render::{named, render, time_of_day};
use super::{Dialect, Layout, Tables};

/// The version of the tables that this library reads and writes.
pub const SCHEMA_VERSION: i32 = 7;

/// What a [`Migration`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Creates the tables of this version.
    Create(i32),
    /// Upgrades the tables from the previous version to this one.
    Upgrade(i32),
}

impl Step {
    /// The version of the tables after the step.
    pub fn version(self) -> i32 {
        match self {
            Self::Create(version) | Self::Upgrade(version) => version,
        }
    }
}

/// One step of the schema, with SQL for both directions.
///
/// The text of a step never changes, so files of older releases are recognized. The files are reversible
/// migrations of sqlx, and plain SQL for `psql` and `sqlite3`. They record the applied version in
/// `outbox_schema`, so that [`migrate`](super::migrate) has nothing left to do.
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
    step: Step,
    version: i64,
    name: String,
    up: String,
    down: String,
}

/// The SQL of one step, up and down.
type Templates = (&'static str, &'static str);

/// A version of the tables: how to make it from nothing, and how to reach it from the version before.
struct Version {
    number: i32,
    /// The oldest programs, by the version of their tables, that it leaves what they work with.
    oldest_program: i32,
    create: Templates,
    /// The day that its file's name begins with, and the SQL. The first version has no predecessor.
    upgrade: Option<(i64, Templates)>,
}

/// Both directions of a file in `sql`.
macro_rules! templates {
    ($database:literal, $file:literal, $version:literal) => {
        (
            include_str!(concat!("sql/", $database, "/", $file, ".", $version, ".up.sql")),
            include_str!(concat!("sql/", $database, "/", $file, ".", $version, ".down.sql")),
        )
    };
}

macro_rules! version {
    ($database:literal, $number:literal, $oldest_program:literal $(, $day:literal)?) => {
        Version {
            number: $number,
            oldest_program: $oldest_program,
            create: templates!($database, "create", $number),
            upgrade: None$(.or(Some(($day, templates!($database, "upgrade", $number)))))?,
        }
    };
}

/// All versions that ever were: the number, the oldest programs, and the day of the upgrade. What is released here is not
/// changed any more: files that were written from it have been applied.
///
/// A version names an older program only if that one reads and writes its tables as before, beside newer programs: tables
/// and columns were added, and nothing that it relies on was changed. Up to version 6, programs did not ask.
macro_rules! versions {
    ($database:literal) => {
        [
            version!($database, 1, 1),
            version!($database, 2, 2, 20_261_124),
            version!($database, 3, 3, 20_261_128),
            version!($database, 4, 4, 20_261_129),
            version!($database, 5, 5, 20_261_130),
            version!($database, 6, 6, 20_261_201),
            version!($database, 7, 7, 20_261_202),
        ]
    };
}

fn versions(dialect: Dialect) -> [Version; 7] {
    match dialect {
        Dialect::Postgres => versions!("postgres"),
        Dialect::Sqlite => versions!("sqlite"),
    }
}

impl Version {
    fn render(&self, template: &str, dialect: Dialect, tables: &Tables, layout: Layout) -> String {
        render(
            template,
            (self.number, self.oldest_program),
            dialect,
            tables,
            layout,
        )
    }
}

/// The day in the name of every file that makes tables from nothing, whatever their version: such a file stands
/// before all upgrades.
const CREATION: i64 = 20_250_101;

impl Migration {
    /// Creates the tables of [`SCHEMA_VERSION`].
    ///
    /// Harmless where they are there already; where they are of an older version it changes nothing and says
    /// what to run.
    pub fn create(dialect: Dialect, tables: &Tables) -> Self {
        Self::create_as(Layout::Plain, dialect, tables)
    }

    /// Like [`create`](Self::create), with this layout. SQLite supports only [`Layout::Plain`].
    pub fn create_as(layout: Layout, dialect: Dialect, tables: &Tables) -> Self {
        let [.., newest] = versions(dialect);
        Self::creation(&newest, dialect, tables, layout)
    }

    /// The steps from the tables of version `from` to [`SCHEMA_VERSION`], oldest first.
    pub fn upgrades(dialect: Dialect, tables: &Tables, from: i32) -> Vec<Self> {
        Self::later(Layout::Plain, dialect, tables, from)
    }

    fn later(layout: Layout, dialect: Dialect, tables: &Tables, from: i32) -> Vec<Self> {
        let newer = versions(dialect)
            .into_iter()
            .filter(|version| version.number > from);
        newer
            .filter_map(|version| {
                let (day, (up, down)) = version.upgrade?;
                Some(Self {
                    step: Step::Upgrade(version.number),
                    version: day * 1_000_000 + time_of_day(tables),
                    name: format!("upgrade_{}tables_to_{}", named(tables), version.number),
                    up: version.render(up, dialect, tables, layout),
                    down: version.render(down, dialect, tables, layout),
                })
            })
            .collect()
    }

    /// The steps of a directory that began with version `first`, oldest first. Empty for an unknown version.
    pub fn history(dialect: Dialect, tables: &Tables, first: i32) -> Vec<Self> {
        Self::history_as(Layout::Plain, dialect, tables, first)
    }

    /// Like [`history`](Self::history), with this layout.
    pub fn history_as(layout: Layout, dialect: Dialect, tables: &Tables, first: i32) -> Vec<Self> {
        let created = versions(dialect)
            .into_iter()
            .find(|version| version.number == first);
        created.map_or_else(Vec::new, |created| {
            let mut steps = vec![Self::creation(&created, dialect, tables, layout)];
            steps.extend(Self::later(layout, dialect, tables, first));
            steps
        })
    }

    fn creation(version: &Version, dialect: Dialect, tables: &Tables, layout: Layout) -> Self {
        let (up, down) = version.create;
        Self {
            step: Step::Create(version.number),
            version: CREATION * 1_000_000 + time_of_day(tables),
            name: format!("create_{}tables", named(tables)),
            up: version.render(up, dialect, tables, layout),
            down: version.render(down, dialect, tables, layout),
        }
    }

    /// The kind of step.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The version for migration tools, formatted as a time (`YYYYMMDDHHMMSS`).
    ///
    /// It is fixed: the same tables have the same version everywhere. Other tables have another one, so that
    /// the migrations of two logs can lie in one directory.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The part of the file names that follows the version.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SQL that applies the step. Applying it again changes nothing.
    pub fn up(&self) -> &str {
        &self.up
    }

    /// SQL that reverts the step. It fails if it would delete an undelivered message or a dead letter.
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

#[cfg(test)]
mod tests {
    use super::super::definition::{compare, made_by};
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

    /// Where a version says that older programs work with it, the tables are those of these programs, and more.
    #[test]
    fn a_version_leaves_what_its_oldest_programs_work_with() {
        let tables = Tables::default();
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            let of = |version| made_by(&Migration::history(dialect, &tables, version)[0], &tables);
            let differences = |older, newer| compare(tables.prefix(), &of(older), &of(newer));
            assert!(!differences(2, 1).is_empty(), "a difference is found");
            for version in versions(dialect) {
                assert!(version.oldest_program <= version.number);
                let findings = differences(version.oldest_program, version.number);
                assert!(findings.is_empty(), "{}: {findings:?}", version.number);
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
    fn the_sqlite3_shell_takes_a_script_as_one_block() {
        let newer_than_1 = all(Dialect::Sqlite, &named());
        for migration in newer_than_1 {
            for sql in [migration.up(), migration.down()] {
                let ends = sql
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("--") && line.ends_with(';'));
                // Semicolons lead the lines; the last one is alone.
                assert_eq!(ends.collect::<Vec<_>>(), [";"], "{sql}");
            }
        }
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
