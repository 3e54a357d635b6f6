//! Whether a database's tables are those that this version works with.

use super::apply::refuse_encoding;
use super::definition::{Finding, Severity, compare, expected};
use super::{Role, SCHEMA_VERSION, SchemaDatabase, SchemaError, Tables, TablesVersion};

/// Comparison of a database's tables with [`SCHEMA_VERSION`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaComparison {
    /// The version that is stored in the database, if any.
    pub version: Option<TablesVersion>,
    /// Differences by table, errors and warnings. Additional objects are ignored.
    pub findings: Vec<Finding>,
}

impl SchemaComparison {
    /// A comparison of tables that cannot be read. Add the reason to the findings.
    #[doc(hidden)]
    pub fn unread() -> Self {
        Self {
            version: None,
            findings: Vec::new(),
        }
    }

    /// The findings of [`Severity::Error`], which prevent a relay from starting.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    }
}

/// Compares columns, constraints and indexes. Reads only the database's catalog.
///
/// # Errors
/// The database cannot be read. Different or missing tables are findings, not errors.
pub async fn compare_schema<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<SchemaComparison, SchemaError> {
    let version = DB::installed_version(connection, tables).await?;
    let mut findings = Vec::new();
    if !version.is_some_and(|version| version.fit().is_good()) {
        findings.push(Finding {
            severity: Severity::Error,
            table: tables.bare("schema"),
            object: "the version".to_owned(),
            expected: SCHEMA_VERSION.to_string(),
            found: version.map(|version| version.number().to_string()),
            mend: None,
        });
    }
    if let Some(encoding) = DB::unchecked_encoding(connection).await? {
        findings.push(Finding {
            severity: Severity::Error,
            table: tables.bare("messages"),
            object: "the database's encoding".to_owned(),
            expected: "UTF8".to_owned(),
            found: Some(encoding),
            mend: None,
        });
    }
    findings.extend(differences::<DB>(connection, tables).await?);
    findings.extend(want_of_room::<DB>(connection, tables).await?);
    Ok(SchemaComparison { version, findings })
}

/// Checks that the tables match [`SCHEMA_VERSION`], or have a newer version that this program can use
/// ([`Fit::Added`](super::Fit::Added)). Returns their version. A relay calls it when it starts. Findings of
/// [`Severity::Warning`] are logged.
///
/// # Errors
/// [`SchemaError::Missing`], [`SchemaError::Older`], [`SchemaError::Newer`], [`SchemaError::Encoding`] or
/// [`SchemaError::Different`], whose text names the command to run; [`SchemaError::Database`] if the database
/// cannot be read.
pub async fn check_schema<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<TablesVersion, SchemaError> {
    let (version, warnings) = checked::<DB>(connection, tables).await?;
    for warning in warnings {
        tracing::warn!("the outbox tables lack something: {warning}");
    }
    Ok(version)
}

/// As [`check_schema`], and the warnings come back.
#[cfg(feature = "postgres")]
pub(crate) async fn warnings<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<Vec<Finding>, SchemaError> {
    let (_, warnings) = checked::<DB>(connection, tables).await?;
    Ok(warnings)
}

/// Why this program no longer works with the tables, if they have become of such a version. That they are gone, or that
/// nothing says their version, is no such thing: whoever works with them finds out.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) async fn other_version<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> sqlx::Result<Option<SchemaError>> {
    let found = DB::installed_version(connection, tables).await?;
    Ok(found.and_then(|found| found.usable(tables).err()))
}

async fn checked<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<(TablesVersion, Vec<Finding>), SchemaError> {
    let arguments = tables.as_arguments();
    let Some(version) = DB::installed_version(connection, tables).await? else {
        return Err(SchemaError::Missing {
            table: tables.schema_version(),
            arguments,
        });
    };
    let version = version.usable(tables)?;
    refuse_encoding::<DB>(connection).await?;
    let (errors, warnings): (Vec<_>, Vec<_>) = differences::<DB>(connection, tables)
        .await?
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if errors.is_empty() {
        return Ok((version, warnings));
    }
    let errors: Vec<_> = errors.iter().map(Finding::to_string).collect();
    Err(SchemaError::Different {
        findings: errors.join("; "),
        arguments,
    })
}

/// Rights that the connection's role lacks for the work of `role`: one finding for each right, with the
/// statement that grants it. Empty for SQLite. Missing tables are reported by [`check_schema`].
///
/// # Errors
/// The database cannot be read.
pub async fn missing_rights<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
    role: Role,
) -> Result<Vec<Finding>, SchemaError> {
    Ok(DB::missing_rights(connection, tables, role).await?)
}

/// A relay may start without: it makes room.
async fn want_of_room<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<Option<Finding>, SchemaError> {
    let Some(room) = DB::room(connection, tables).await? else {
        return Ok(None);
    };
    let (severity, whose) = match (room.left, room.hole) {
        (..1, _) => (Severity::Error, "the next message".to_owned()),
        (_, Some((low, below))) => (
            Severity::Warning,
            format!("messages with a seq from {low} to {}", below - 1),
        ),
        (left, None) if left < room.partition => (Severity::Warning, "later messages".to_owned()),
        _ => return Ok(None),
    };
    Ok(Some(Finding {
        severity,
        table: tables.bare("messages"),
        object: format!("a partition for {whose}"),
        expected: "made by `outbox migrate` or the active relay".to_owned(),
        found: None,
        mend: Some(format!("outbox migrate{}", tables.as_arguments())),
    }))
}

/// What the catalog has to say of tables that are there.
pub(crate) async fn differences<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<Vec<Finding>, SchemaError> {
    let expected = expected(DB::DIALECT, tables);
    let suffixes: Vec<String> = expected.iter().map(|table| table.suffix.clone()).collect();
    let found = DB::definition(connection, tables, &suffixes).await?;
    let mut findings = compare(tables.prefix(), &expected, &found);
    findings.extend(DB::broken_assumptions(connection, tables, &suffixes).await?);
    Ok(findings)
}
