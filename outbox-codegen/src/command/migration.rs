//! `outbox migration check`: compares a database's tables with what this version works with.

use outbox_runtime::Tables;
use outbox_runtime::schema::{
    Finding, Fit, SCHEMA_VERSION, SchemaComparison, SchemaDatabase, SchemaError, Severity, TablesVersion,
    compare_schema, missing_rights,
};
use serde::Serialize;
use sqlx::Pool;

use super::print;
use crate::Exit;
use crate::arguments::{Migration, MigrationCheck, MigrationCommand, RoleName};
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;

pub(crate) async fn run(arguments: Migration) -> Result<Exit, Failure> {
    match arguments.what {
        MigrationCommand::Check(arguments) => check(arguments).await,
    }
}

async fn check(arguments: MigrationCheck) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let comparison = match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => compare(&pool, &tables, arguments.role).await,
        Database::Sqlite(pool) => compare(&pool, &tables, arguments.role).await,
    }?;
    if arguments.json {
        let json = serde_json::to_string(&Report::of(&comparison))
            .map_err(|error| Failure::failed("cannot write the findings as JSON").because(error))?;
        print(json)?;
    } else {
        for finding in &comparison.findings {
            print(format_args!("{}: {finding}", finding.severity))?;
        }
        if comparison.findings.is_empty() {
            print(matching(comparison.version))?;
        }
    }
    let errors = comparison.errors().count();
    let warnings = comparison.findings.len() - errors;
    if errors == 0 && !(arguments.strict && warnings > 0) {
        return Ok(Exit::Done);
    }
    let message = format!(
        "the outbox tables do not match version {SCHEMA_VERSION}, or this role lacks rights: {}, {}",
        counted(errors, "error"),
        counted(warnings, "warning")
    );
    Err(Failure::new(Exit::Differences, message).advise(advice(&comparison)))
}

/// Compares the tables and, for a kind of work, the role's rights.
pub(super) async fn compare<DB: SchemaDatabase>(
    pool: &Pool<DB>,
    tables: &Tables,
    role: RoleName,
) -> Result<SchemaComparison, SchemaError> {
    let mut connection = pool.acquire().await?;
    let missing = match role.role() {
        Some(role) => missing_rights::<DB>(&mut connection, tables, role).await?,
        None => Vec::new(),
    };
    let compared = compare_schema::<DB>(&mut connection, tables).await;
    let mut comparison = match compared {
        // What may not be looked at cannot be compared, and the rights that are missing are why.
        Err(_) if !missing.is_empty() => SchemaComparison::unread(),
        compared => compared?,
    };
    comparison.findings.splice(0..0, missing);
    Ok(comparison)
}

fn matching(version: Option<TablesVersion>) -> String {
    match version.filter(|version| version.fit() == Fit::Added) {
        None => format!("the outbox tables match version {SCHEMA_VERSION}"),
        Some(newer) => format!("the outbox tables have version {newer}, and match version {SCHEMA_VERSION}"),
    }
}

fn advice(comparison: &SchemaComparison) -> &'static str {
    match comparison.version.map(TablesVersion::fit) {
        Some(Fit::Newer) => "use the newer version that migrated the tables",
        Some(Fit::Same | Fit::Added) => {
            "correct the findings, rights as the tables' owner; `outbox generate migration` shows how each table and index is created"
        }
        Some(Fit::Older) | None => {
            "check --database-url, --schema and --prefix; `outbox migrate` creates or upgrades the tables"
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What is printed; the fields and their order are a promise to programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// What this program works with.
    expected_version: i32,
    found_version: Option<i32>,
    findings: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    severity: &'static str,
    table: &'a str,
    object: &'a str,
    expected: &'a str,
    found: Option<&'a str>,
    mend: Option<&'a str>,
}

impl<'a> Report<'a> {
    fn of(comparison: &'a SchemaComparison) -> Self {
        Self {
            expected_version: SCHEMA_VERSION,
            found_version: comparison.version.map(TablesVersion::number),
            findings: comparison.findings.iter().map(Line::of).collect(),
        }
    }
}

impl<'a> Line<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            table: &finding.table,
            object: &finding.object,
            expected: &finding.expected,
            found: finding.found.as_deref(),
            mend: finding.mend.as_deref(),
        }
    }
}
