//! The services, each with a database and a relay of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use batch_orchestrator::BatchOrchestrator;
use batch_orchestrator::transactions::{NewBatch, register_batch};
use cj_assessment::CjAssessment;
use essay_lifecycle::EssayLifecycle;
use outbox_runtime::relay::RunningRelay;
use outbox_runtime::testkit::TestBroker;
use outbox_runtime::{KafkaPublisher, Outbox, Relay, SqliteStore};
use result_aggregator::ResultAggregator;
use service_kit::{Blueprint, Db, Running, Settings, Texts, connect, create_tables, start};
use spellcheck::Spellcheck;
use spellcheck::spelling::Dictionaries;
use sqlx::Pool;
use uuid::Uuid;

use crate::files;

/// How often the state of a batch is looked at.
const PACE: Duration = Duration::from_millis(50);

/// All services.
pub(crate) struct Platform {
    orchestrator: Running,
    aggregator: Running,
    others: Vec<Running>,
    /// In place of the File Service.
    files: Outbox<Db>,
    files_relay: RunningRelay,
    pub(crate) texts: Texts,
}

impl Platform {
    /// Starts all services in this folder.
    pub(crate) async fn start(folder: &Path, broker: &TestBroker, dictionaries: &Path) -> Result<Self> {
        let settings = |name: &str| Settings {
            database_url: format!("sqlite:{}", folder.join(name).with_extension("db").display()),
            brokers: broker.brokers().to_owned(),
            mock_brokers: true,
            listen: ([127, 0, 0, 1], 0).into(),
            content_dir: folder.join("content"),
            shutdown_timeout: Duration::from_secs(10),
        };
        let texts = Texts::new(folder.join("content"));
        let dictionaries = Arc::new(read_dictionaries(dictionaries, folder)?);
        let orchestrator = started(&settings("batch-orchestrator"), &BatchOrchestrator).await?;
        let aggregator = started(&settings("result-aggregator"), &ResultAggregator).await?;
        let spellcheck = Spellcheck {
            texts: texts.clone(),
            dictionaries,
        };
        let assessment = CjAssessment { texts: texts.clone() };
        let others = vec![
            started(&settings("essay-lifecycle"), &EssayLifecycle).await?,
            started(&settings("spellcheck"), &spellcheck).await?,
            started(&settings("cj-assessment"), &assessment).await?,
        ];
        let (files, files_relay) = start_files(&settings("file")).await?;
        Ok(Self {
            orchestrator,
            aggregator,
            others,
            files,
            files_relay,
            texts,
        })
    }

    /// Where files are accepted.
    pub(crate) fn files(&self) -> &Outbox<Db> {
        &self.files
    }

    /// The database of the Result Aggregator.
    pub(crate) fn results(&self) -> &Pool<Db> {
        self.aggregator.pool()
    }

    /// All databases.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &Pool<Db>> {
        let services = self.others.iter().chain([&self.orchestrator, &self.aggregator]);
        services.map(Running::pool).chain([self.files.pool()])
    }

    /// Registers a batch of so many essays, and returns its id.
    pub(crate) async fn register(&self, essays: usize) -> Result<String> {
        let batch_id = Uuid::now_v7().to_string();
        let batch = NewBatch {
            batch_id: batch_id.clone(),
            essay_ids: (1..=essays).map(|number| format!("essay-{number:02}")).collect(),
            user_id: "teacher-1".to_owned(),
            course_code: "EN1".to_owned(),
            language: "en".to_owned(),
            essay_instructions: "Write about something you know.".to_owned(),
            correlation_id: Uuid::now_v7(),
        };
        let outbox = Outbox::new(self.orchestrator.pool().clone());
        register_batch(&outbox, batch)
            .await
            .context("cannot register the batch")?;
        Ok(batch_id)
    }

    /// Waits until all results of a batch are there, and says how it ended.
    pub(crate) async fn ended(&self, batch_id: &str) -> Result<String> {
        let mut ticks = tokio::time::interval(PACE);
        loop {
            ticks.tick().await;
            let status: Option<Option<String>> =
                sqlx::query_scalar("SELECT status FROM batch_results WHERE batch_id = $1")
                    .bind(batch_id)
                    .fetch_optional(self.results())
                    .await?;
            if let Some(Some(status)) = status {
                return Ok(status);
            }
        }
    }

    /// Waits until each relay has delivered all that its service has committed.
    pub(crate) async fn relayed(&self) -> Result<()> {
        use outbox_runtime::store::Store;
        let mut ticks = tokio::time::interval(PACE);
        for database in self.databases() {
            while SqliteStore::new(database).status().await?.backlog.messages > 0 {
                ticks.tick().await;
            }
        }
        Ok(())
    }

    /// Stops all services.
    pub(crate) async fn stop(self) -> Result<()> {
        self.files_relay.stop().await?;
        for service in self
            .others
            .into_iter()
            .chain([self.orchestrator, self.aggregator])
        {
            service.stop().await?;
        }
        Ok(())
    }
}

async fn started(settings: &Settings, service: &impl Blueprint) -> Result<Running> {
    let url = &settings.database_url;
    start(settings, service)
        .await
        .with_context(|| format!("cannot start the service of {url}"))
}

async fn start_files(settings: &Settings) -> Result<(Outbox<Db>, RunningRelay)> {
    let pool = connect(&settings.database_url).await?;
    create_tables(&pool, files::TABLES).await?;
    let outbox = Outbox::new(pool.clone());
    let mut publisher = KafkaPublisher::builder(&settings.brokers);
    if settings.mock_brokers {
        publisher = publisher.assume_topic_limits();
    }
    let relay = Relay::builder(SqliteStore::new(&pool), publisher.build()?)
        .waker(outbox.waker())
        .build()?;
    Ok((outbox, relay.spawn()))
}

/// The dictionaries in this folder, or a stand-in that knows no word and suggests none.
fn read_dictionaries(installed: &Path, folder: &Path) -> Result<Dictionaries> {
    match Dictionaries::read(installed) {
        Ok(dictionaries) => Ok(dictionaries),
        Err(error) => {
            println!("{error}. Nothing is corrected now.");
            for name in ["en_US", "sv_SE"] {
                std::fs::write(folder.join(format!("{name}.aff")), "SET UTF-8\n")?;
                std::fs::write(folder.join(format!("{name}.dic")), "0\n")?;
            }
            Ok(Dictionaries::read(folder)?)
        }
    }
}
