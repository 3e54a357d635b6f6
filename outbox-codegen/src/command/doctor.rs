//! `outbox doctor`: what is wrong with configuration, database and Kafka, and what corrects it.

use outbox_runtime::health::HealthDatabase;
use outbox_runtime::{HealthConfig, Outbox, Tables};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, PgPool, Pool, SqlitePool};

use super::migration::compare;
use super::print;
use crate::arguments::{Doctor as Arguments, RoleName};
use crate::config::ConfigFile;
use crate::connect::{Database, IfMissing, connect};
use crate::doctor::postgres::{PostgresFacts, RoleRights};
use crate::doctor::{
    Code, Finding, Limits, Mend, Severity, judge_health, judge_schema, kafka, postgres, sqlite,
};
use crate::failure::Failure;
use crate::properties::Properties;
use crate::topics::{Cluster, Wanted};
use crate::{Exit, catalog};

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    let mut wanted = wanted(&arguments)?;
    let cluster = cluster(&arguments)?;
    let limits = Limits {
        transaction_age: arguments.max_transaction_age,
        clock: arguments.max_clock_difference,
        ..Limits::default()
    };
    let mut report = match connect(&address, IfMissing::Fail, arguments.patience.connect_timeout).await? {
        Database::Postgres(pool) => {
            let facts = ask_postgres(&pool, &tables, &limits, &arguments).await?;
            wanted.payloads = facts.payloads.known().cloned().unwrap_or_default();
            wanted.cursor_topic =
                (facts.exactly_once.known() == Some(&true)).then(|| arguments.cursor_topic.clone());
            let meant = arguments.role.and_then(RoleName::role);
            let mut findings = schema_findings(&facts, &tables);
            findings.extend(postgres::judge(&facts, &limits, meant));
            findings.extend(health(&pool, &tables, &limits, &arguments, &findings).await);
            Report {
                roles: facts.rights.iter().map(Role::of).collect(),
                findings,
            }
        }
        Database::Sqlite(pool) => ask_sqlite(&pool, &tables, &limits, &arguments).await?,
    };
    if let Some(cluster) = cluster {
        report.findings.extend(ask_kafka(&cluster, wanted).await);
    }
    report
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.print(arguments.json)?;
    Ok(report.exit())
}

/// What `outbox.toml` and the events say of topics. Without a file there is nothing to compare.
fn wanted(arguments: &Arguments) -> Result<kafka::Wanted, Failure> {
    let given = arguments.source.source();
    let file = ConfigFile::search(&given)?;
    let configured = file.as_ref().and_then(|file| file.config.topic_prefix.as_deref());
    let prefix = arguments.prefix.or(configured)?;
    let wanted = match file {
        // The events are compiled, or read from the file: only where topics are asked for.
        Some(file) if arguments.brokers.is_some() => {
            let catalog = catalog::load(&file.source(&given))?;
            let wanted = Wanted::new(&catalog, &file.config.topics, &prefix)?;
            (wanted.topics, wanted.open_templates)
        }
        Some(_) | None => (Vec::new(), Vec::new()),
    };
    let (topics, open_templates) = wanted;
    Ok(kafka::Wanted {
        topics,
        open_templates,
        prefix,
        ..kafka::Wanted::default()
    })
}

fn cluster(arguments: &Arguments) -> Result<Option<Cluster>, Failure> {
    let Some(brokers) = &arguments.brokers else {
        return Ok(None);
    };
    let properties = Properties::read(&arguments.properties)?;
    Cluster::new(brokers, properties, arguments.patience.connect_timeout).map(Some)
}

/// On a connection that keeps no prepared statements: behind a pooler, they would be of another session.
async fn ask_postgres(
    pool: &PgPool,
    tables: &Tables,
    limits: &Limits,
    arguments: &Arguments,
) -> Result<PostgresFacts, Failure> {
    let unreadable = |error| Failure::failed("the database cannot be read").because(error);
    let options = pool
        .connect_options()
        .as_ref()
        .clone()
        .statement_cache_capacity(0);
    let mut connection = PgConnection::connect_with(&options).await.map_err(unreadable)?;
    let wanted = postgres::Wanted {
        tables,
        limits,
        patience: arguments.patience.connect_timeout,
    };
    let facts = postgres::collect(&mut connection, &wanted).await?;
    // It has served its purpose, whether it says goodbye or not.
    let _ = connection.close().await;
    Ok(facts)
}

/// The tables as `migration check` sees them. An index that is there and invalid is no missing one.
fn schema_findings(facts: &PostgresFacts, tables: &Tables) -> Vec<Finding> {
    let Some(comparison) = &facts.schema else {
        return Vec::new();
    };
    let mut comparison = comparison.clone();
    let invalid = facts.invalid_indexes.known().into_iter().flatten();
    for index in invalid {
        comparison
            .findings
            .retain(|finding| finding.table != index.bare || !finding.object.starts_with("index "));
    }
    judge_schema(&comparison, tables, &names(tables), !facts.server.partitioned)
}

/// Options that pass these names to a command.
fn names(tables: &Tables) -> String {
    let schema = tables.schema().map(|schema| format!(" --schema {schema}"));
    let prefix =
        (tables.prefix() != Tables::default().prefix()).then(|| format!(" --prefix {}", tables.prefix()));
    [schema, prefix].into_iter().flatten().collect()
}

async fn ask_sqlite(
    pool: &SqlitePool,
    tables: &Tables,
    limits: &Limits,
    arguments: &Arguments,
) -> Result<Report, Failure> {
    let comparison = compare(pool, tables, RoleName::None).await?;
    let mut findings = judge_schema(&comparison, tables, &names(tables), false);
    let unreadable = |error| Failure::failed("the database cannot be read").because(error);
    let mut connection = pool.acquire().await.map_err(unreadable)?;
    findings.extend(sqlite::judge(&sqlite::journal_mode(&mut connection).await?));
    drop(connection);
    findings.extend(health(pool, tables, limits, arguments, &findings).await);
    Ok(Report {
        roles: Vec::new(),
        findings,
    })
}

/// The state of delivery, unless it is known already why that cannot be read.
async fn health<DB: HealthDatabase>(
    pool: &Pool<DB>,
    tables: &Tables,
    limits: &Limits,
    arguments: &Arguments,
    known: &[Finding],
) -> Vec<Finding> {
    let unreadable = [
        Code::TablesMissing,
        Code::SchemaVersion,
        Code::RightsMissing,
        Code::RowLevelSecurity,
    ];
    let config = HealthConfig::new()
        .timeout(arguments.patience.connect_timeout)
        .writer_age(limits.transaction_age);
    let outbox = Outbox::builder(pool.clone()).tables(tables.clone()).build();
    let mut findings = judge_health(&outbox.health_with(&config).await);
    if known.iter().any(|finding| unreadable.contains(&finding.code)) {
        findings.retain(|finding| finding.code != Code::LogUnreadable);
    }
    if known.iter().any(|finding| finding.code == Code::PartitionsRunOut) {
        findings.retain(|finding| finding.code != Code::PartitionsRunOut);
    }
    findings
}

async fn ask_kafka(cluster: &Cluster, wanted: kafka::Wanted) -> Vec<Finding> {
    match kafka::collect(cluster, wanted).await {
        Ok(facts) => kafka::judge(&facts),
        Err(failure) => vec![Finding::new(Code::KafkaUnreachable, failure.sentence()).advice(
            "check --brokers, that the brokers run, and which security they require: -X security.protocol=…",
        )],
    }
}

/// What is printed; the fields are a promise to programs.
#[derive(Serialize)]
struct Report {
    /// For each kind of work, what the role lacks. Empty for SQLite.
    roles: Vec<Role>,
    findings: Vec<Finding>,
}

/// What the role in the database's URL may do.
#[derive(Serialize)]
struct Role {
    role: String,
    may: bool,
    /// The statements that grant what it lacks.
    grants: Vec<String>,
}

impl Role {
    fn of(rights: &RoleRights) -> Self {
        Self {
            role: rights.role.to_string(),
            may: rights.grants.is_empty(),
            grants: rights.grants.clone(),
        }
    }
}

/// The version of the JSON.
const SHAPE: u32 = 1;

impl Report {
    fn exit(&self) -> Exit {
        match self.count(Severity::Serious) {
            0 => Exit::Done,
            _ => Exit::Differences,
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            let report = serde_json::json!({
                "schema_version": SHAPE, "roles": self.roles, "findings": self.findings,
            });
            return print(report);
        }
        for finding in &self.findings {
            print(text(finding))?;
        }
        let may: Vec<&str> = self
            .roles
            .iter()
            .filter(|role| role.may)
            .map(|role| role.role.as_str())
            .collect();
        if !may.is_empty() {
            print(format_args!("the role has the rights of: {}", may.join(", ")))?;
        }
        match self.findings.is_empty() {
            true => print("no findings"),
            false => print(format_args!(
                "{} serious, {} warnings, {} notes",
                self.count(Severity::Serious),
                self.count(Severity::Warning),
                self.count(Severity::Note)
            )),
        }
    }
}

fn text(finding: &Finding) -> String {
    let mut text = format!(
        "{:8} {}: {}",
        finding.severity.as_str(),
        finding.code.as_str(),
        finding.reason
    );
    for (number, mend) in finding.mend.iter().enumerate() {
        let (what, mend) = match mend {
            Mend::Sql(statement) => ("sql", statement),
            Mend::Command(command) => ("run", command),
            Mend::Advice(advice) => ("do", advice),
        };
        let or = if number > 0 { "or " } else { "" };
        text += &format!("\n         {or}{what}: {mend}");
    }
    text
}
