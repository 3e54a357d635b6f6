//! The lines to paste and to run.

use std::path::Path;

use outbox_runtime::schema::Dialect;

use super::event::{MODULE, topic};
use super::{Init, Service};

/// The version of the runtime that this program is of.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Init<'_> {
    /// What is left to a person, in the order in which it is done.
    pub(crate) fn lines(&self) -> String {
        let Service {
            package,
            library,
            library_root,
            ..
        } = self.service;
        let mut text = String::new();
        let dependencies = self.dependencies();
        if !dependencies.is_empty() {
            text += &format!("Run:\n\n{dependencies}\n");
        }
        if let Some(root) = library_root {
            text += &format!("Add to {}:\n\n{MODULE}\n\n", root.display());
        }
        let (pool, store, url) = match self.dialect {
            Dialect::Postgres => (
                "PgPool",
                "PostgresStore",
                "postgres://user:password@localhost:5432/database",
            ),
            Dialect::Sqlite => ("SqlitePool", "SqliteStore", "sqlite:outbox.db"),
        };
        let program = self.service.program.as_ref();
        let place = match program {
            Some(program) => program.root.display().to_string(),
            None => "In the program that uses this library".to_owned(),
        };
        let of_package = self.of_package();
        let run = self.run();
        text += &format!(
            "{place}:

use {library}::outbox_events::ServiceStartedV1;
use outbox_runtime::{{KafkaPublisher, Outbox, {store}, Relay}};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {{
    let pool = sqlx::{pool}::connect(&std::env::var(\"DATABASE_URL\")?).await?;
    let outbox = Outbox::new(pool.clone());
    let publisher = KafkaPublisher::builder(std::env::var(\"KAFKA_BROKERS\")?).build()?;
    let relay = Relay::builder({store}::new(&pool), publisher)
        .waker(outbox.waker())
        .build()?
        .spawn();

    // As in every handler: rows and events in one transaction.
    outbox
        .transaction(async |tx| tx.emit(ServiceStartedV1 {{ service: \"{package}\".to_owned() }}).map(drop))
        .await?;

    tokio::signal::ctrl_c().await?;
    relay.stop().await?;
    Ok(())
}}

Then run:

export DATABASE_URL={url}
export KAFKA_BROKERS=localhost:9092
outbox migrate
outbox topics apply{of_package}
{run}

The event is now in the topic {topic}.",
            topic = topic(package)
        );
        text
    }

    /// The option that names the package, if it is not the one of the working directory.
    fn of_package(&self) -> String {
        match self.service.is_elsewhere {
            true => format!(" -p {}", self.service.package),
            false => String::new(),
        }
    }

    /// The command that runs the service.
    fn run(&self) -> String {
        let of_package = self.of_package();
        match self.service.program.as_ref().map(|program| &program.name) {
            Some(Some(name)) => format!("cargo run{of_package} --bin {name}"),
            Some(None) => format!("cargo run{of_package}"),
            None => "# run the program".to_owned(),
        }
    }

    /// A line for each dependency that is missing, or lacks features of what this outbox needs.
    fn dependencies(&self) -> String {
        let database = self.dialect.to_string();
        let runtime = match self.toolkit {
            Some(toolkit) => format!("--path {}", quoted(&toolkit.join("outbox-runtime"))),
            None => format!("outbox-runtime@{VERSION}"),
        };
        let lines = [
            (
                "outbox-runtime",
                runtime.as_str(),
                "",
                vec![database.as_str(), "kafka"],
            ),
            ("serde", "serde@1", "", vec!["derive"]),
            (
                "sqlx",
                "sqlx@0.9",
                " --no-default-features",
                vec!["runtime-tokio", database.as_str()],
            ),
            (
                "tokio",
                "tokio@1",
                "",
                vec!["macros", "rt-multi-thread", "signal"],
            ),
        ];
        let package = if self.service.is_elsewhere {
            format!(" --package {}", self.service.package)
        } else {
            String::new()
        };
        let lines = lines.into_iter().filter_map(|(name, source, options, features)| {
            let there = self.service.dependencies.get(name);
            let has = |feature: &&str| {
                there.is_some_and(|there| there.iter().any(|one| one == feature || one == "full"))
            };
            let missing: Vec<&str> = features.into_iter().filter(|feature| !has(feature)).collect();
            // One that is there keeps its version and its place.
            let (source, options) = match there {
                Some(_) => (name, ""),
                None => (source, options),
            };
            let features = missing.join(",");
            (!missing.is_empty())
                .then(|| format!("cargo add{package} {source}{options} --features {features}\n"))
        });
        lines.collect()
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@:".contains(letter);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
