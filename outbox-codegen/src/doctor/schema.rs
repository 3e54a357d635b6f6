//! Findings about the tables: what `outbox migration check --strict` finds, each with a code.

use outbox_runtime::Tables;
use outbox_runtime::schema::{Finding as Difference, Fit, SCHEMA_VERSION, SchemaComparison, Severity};

use super::{Code, Finding, Mend};

/// Findings of a comparison. `concurrently`: indexes can be created beside writers.
pub(crate) fn judge_schema(
    comparison: &SchemaComparison,
    tables: &Tables,
    arguments: &str,
    concurrently: bool,
) -> Vec<Finding> {
    let migrate = format!("outbox migrate{arguments}");
    let mut findings = Vec::new();
    let Some(found) = comparison.version else {
        return vec![
            Finding::new(
                Code::TablesMissing,
                format!(
                    "there is no table {} with the tables' version",
                    tables.schema_version()
                ),
            )
            .command(migrate)
            .advice("check --database-url, --schema and --prefix"),
        ];
    };
    let number = found.number();
    let differs = format!("the tables have version {number}, this program works with {SCHEMA_VERSION}");
    match found.fit() {
        Fit::Same => {}
        Fit::Added => findings.push(
            Finding::new(
                Code::ProgramOlder,
                format!("the tables have version {found}; this program was made for {SCHEMA_VERSION}"),
            )
            .advice("complete the upgrade: use the version that migrated the tables"),
        ),
        Fit::Older => return vec![Finding::new(Code::SchemaVersion, differs).command(migrate)],
        Fit::Newer => {
            let finding = Finding::new(Code::SchemaVersion, differs);
            return vec![finding.advice("use the newer version that migrated the tables")];
        }
    }
    let differences = comparison.findings.iter();
    findings.extend(differences.map(|difference| finding(difference, tables, concurrently)));
    findings
}

fn finding(difference: &Difference, tables: &Tables, concurrently: bool) -> Finding {
    let code = code(difference);
    let mend = difference.mend.clone().or_else(|| {
        let index = difference.object.strip_prefix("index ")?;
        let concurrently = if concurrently { " CONCURRENTLY" } else { "" };
        let table = qualified(tables, &difference.table);
        (code == Code::IndexMissing).then(|| format!("CREATE INDEX{concurrently} ON {table} {index}"))
    });
    let mut without_mend = difference.clone();
    without_mend.mend = None;
    let mut finding = Finding::new(code, without_mend.to_string());
    finding.mend = match mend {
        Some(command) if command.starts_with("outbox ") => vec![Mend::Command(command)],
        Some(statement) => vec![Mend::Sql(statement)],
        None => vec![Mend::Advice(
            "`outbox generate migration` into an empty directory shows how each table is created".to_owned(),
        )],
    };
    finding
}

fn code(difference: &Difference) -> Code {
    let (object, serious) = (difference.object.as_str(), difference.severity == Severity::Error);
    match serious {
        true if object == "row-level security" => Code::RowLevelSecurity,
        true if object == "the database's encoding" => Code::Encoding,
        true if object.contains("sequence behind") => Code::Sequence,
        true if object.starts_with("a partition for") => Code::PartitionsMissing,
        true => Code::TablesDiffer,
        false if object.starts_with("index ") => Code::IndexMissing,
        false if object.contains("sequence behind") => Code::SequenceHeadroom,
        false if object.starts_with("a partition for") => Code::PartitionsRunOut,
        false => Code::TablesWeak,
    }
}

/// The table's name for SQL.
fn qualified(tables: &Tables, bare: &str) -> String {
    tables.quoted(bare.strip_prefix(tables.prefix()).unwrap_or(bare))
}
