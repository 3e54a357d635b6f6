//! The lines to paste and to run.

use outbox_runtime::schema::Dialect;

use super::event::{MODULE, topic};
use super::{Init, Manifest};

/// The version of the runtime that this program is of.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Init<'_> {
    /// What is left to a person, in the order in which it is done.
    pub(crate) fn lines(&self) -> String {
        let Manifest {
            package,
            library,
            has_library,
            ..
        } = self.manifest;
        let mut text = format!("Cargo.toml, under [dependencies]:\n\n{}\n", self.dependencies());
        if *has_library {
            text += &format!("src/lib.rs:\n\n{MODULE}\n\n");
        }
        let (pool, store, url) = match self.dialect {
            Dialect::Postgres => (
                "PgPool",
                "PostgresStore",
                "postgres://user:password@localhost:5432/database",
            ),
            Dialect::Sqlite => ("SqlitePool", "SqliteStore", "sqlite:outbox.db"),
        };
        text += &format!(
            "src/main.rs:

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

    // As in every handler: what it changes in the database and what it tells of it, in one transaction.
    outbox
        .transaction(async |tx| tx.emit(ServiceStartedV1 {{ service: \"{package}\".to_owned() }}).map(drop))
        .await?;

    tokio::signal::ctrl_c().await?;
    relay.stop().await?;
    Ok(())
}}

Then, in a shell:

export DATABASE_URL={url}
export KAFKA_BROKERS=localhost:9092
outbox migrate
outbox topics apply
cargo run

and the event is in the topic {topic}.",
            topic = topic(package)
        );
        text
    }

    /// What the manifest does not have yet. A line for each, with what this outbox needs of it.
    fn dependencies(&self) -> String {
        let database = self.dialect.to_string();
        let runtime = match self.toolkit {
            Some(toolkit) => format!("path = \"{}\"", toolkit.join("outbox-runtime").display()),
            None => format!("version = \"{VERSION}\""),
        };
        let lines = [
            (
                "outbox-runtime",
                format!("{{ {runtime}, features = [\"{database}\", \"kafka\"] }}"),
            ),
            ("serde", "{ version = \"1\", features = [\"derive\"] }".to_owned()),
            (
                "sqlx",
                format!(
                    "{{ version = \"0.9\", default-features = false, features = [\"runtime-tokio\", \"{database}\"] }}"
                ),
            ),
            (
                "tokio",
                "{ version = \"1\", features = [\"macros\", \"rt-multi-thread\", \"signal\"] }".to_owned(),
            ),
        ];
        lines
            .into_iter()
            .filter(|(name, _)| !self.manifest.dependencies.contains(*name))
            .map(|(name, line)| format!("{name} = {line}\n"))
            .collect()
    }
}
