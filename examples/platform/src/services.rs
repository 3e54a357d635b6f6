//! The services: each a process with a database and a relay of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use outbox_runtime::modes::Mode;
use outbox_runtime::store::Store as _;
use outbox_runtime::testkit::TestBroker;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;
use service_kit::{Db, Settings, Store, connect};
use sqlx::Pool;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::arguments::Name;
use crate::database::Databases;
use crate::process::Process;

/// How often states are looked at.
const PACE: Duration = Duration::from_millis(50);

/// How long anything may take on a busy machine, faults included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// How long a service that has ended stays away.
const AWAY: Duration = Duration::from_millis(300);

/// How the platform is started.
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) dictionaries: PathBuf,
    pub(crate) broker: TestBroker,
    /// The brokers are in this process, and can be stopped.
    pub(crate) mock: bool,
    /// Each service has a second relay, which stands by, and is started again when it ends.
    pub(crate) chaos: bool,
}

/// All services.
pub(crate) struct Platform {
    pub(crate) services: Vec<Service>,
    pub(crate) broker: TestBroker,
    pub(crate) mock: bool,
    client: Client,
    forgiving: bool,
    /// Nothing is started again any more.
    stopping: AtomicBool,
}

/// A service.
pub(crate) struct Service {
    pub(crate) name: Name,
    /// Its database, as the platform looks at it.
    pub(crate) pool: Pool<Db>,
    pub(crate) process: Mutex<Process>,
    pub(crate) standby: Option<Mutex<Process>>,
    settings: Settings,
}

impl Platform {
    /// Starts all services, and returns when they answer.
    pub(crate) async fn start(plan: &Plan, databases: &Databases) -> Result<Self> {
        let mut services = Vec::new();
        for name in Name::ALL {
            services.push(Service::start(name, plan, databases).await?);
        }
        let client = Client::builder().timeout(Duration::from_secs(20)).no_proxy();
        let mut platform = Self {
            services,
            broker: plan.broker.clone(),
            mock: plan.mock,
            client: client.build()?,
            forgiving: plan.chaos,
            stopping: AtomicBool::new(false),
        };
        for service in &platform.services {
            platform.answered(service).await?;
        }
        if plan.chaos {
            // Now the tables are there.
            for service in &mut platform.services {
                service.standby = Some(Mutex::new(service.start_part("relay", plan)?));
            }
        }
        Ok(platform)
    }

    pub(crate) fn service(&self, name: Name) -> &Service {
        &self.services[name as usize]
    }

    /// The database of a service.
    pub(crate) fn pool(&self, name: Name) -> &Pool<Db> {
        &self.service(name).pool
    }

    async fn answered(&self, service: &Service) -> Result<()> {
        let mut ticks = tokio::time::interval(PACE);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            ticks.tick().await;
            if let Ok(answer) = self.client.get(service.url("/health")).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            let mut process = service.process.lock().await;
            if process.ended().is_some() {
                bail!("{} ended:\n{}", service.name.as_str(), process.last_words());
            }
        }
        bail!("{} does not answer", service.name.as_str())
    }

    /// Registers a batch of so many essays. The request may be repeated, so it is until it is answered.
    pub(crate) async fn register(&self, batch_id: Uuid, essays: usize, traceparent: &str) -> Result<()> {
        let body = json!({
            "user_id": "teacher-1",
            "course_code": "EN1",
            "language": "en",
            "essay_instructions": "Write about something you know.",
            "expected_essay_count": essays,
        });
        let path = format!("/v1/batches/{batch_id}");
        let put = |client: &Client, url| client.put(url).header("traceparent", traceparent).json(&body);
        self.request(Name::BatchOrchestrator, &path, put).await.map(drop)
    }

    /// Sends a request until it succeeds, or is refused.
    pub(crate) async fn request(
        &self,
        name: Name,
        path: &str,
        build: impl Fn(&Client, String) -> RequestBuilder,
    ) -> Result<Response> {
        let mut ticks = tokio::time::interval(PACE);
        let end = Instant::now() + PATIENCE;
        loop {
            ticks.tick().await;
            let answer = build(&self.client, self.service(name).url(path)).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if answer.status().is_client_error() => {
                    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
                    bail!("{} refused a request: {status} {text}", name.as_str());
                }
                _ if Instant::now() > end => bail!("{} does not answer", name.as_str()),
                _ => {}
            }
        }
    }

    /// Waits until all results of a batch are there, and says how it ended.
    pub(crate) async fn ended(&self, batch_id: Uuid) -> Result<String> {
        let sql = "SELECT status FROM batch_results WHERE batch_id = $1";
        let batch_id = batch_id.to_string();
        let mut ticks = tokio::time::interval(PACE);
        loop {
            ticks.tick().await;
            // A database that does not answer now does later.
            let status = sqlx::query_scalar::<_, Option<String>>(sql)
                .bind(&batch_id)
                .fetch_optional(self.pool(Name::ResultAggregator))
                .await;
            if let Ok(Some(Some(status))) = status {
                return Ok(status);
            }
        }
    }

    /// Waits until each relay has delivered all that its service has committed.
    pub(crate) async fn relayed(&self) {
        let mut ticks = tokio::time::interval(PACE);
        for service in &self.services {
            while !matches!(Store::new(&service.pool).status().await, Ok(status) if status.backlog.messages == 0)
            {
                ticks.tick().await;
            }
        }
    }

    /// Starts again what has ended. Without faults, an end is an error.
    pub(crate) async fn supervise(&self) -> Result<()> {
        let mut ticks = tokio::time::interval(PACE);
        loop {
            ticks.tick().await;
            for service in &self.services {
                for process in [Some(&service.process), service.standby.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    let mut process = process.lock().await;
                    let Some(ended) = process.ended() else { continue };
                    if self.stopping.load(Ordering::Relaxed) {
                        continue;
                    }
                    if !self.forgiving {
                        bail!("{} ended:\n{}", service.name.as_str(), process.last_words());
                    }
                    if ended.elapsed() > AWAY {
                        process.start_again()?;
                    }
                }
            }
        }
    }

    /// Ends all processes. What they had to do is done.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.stopping.store(true, Ordering::Relaxed);
        for service in &self.services {
            service.process.lock().await.kill().await?;
            if let Some(standby) = &service.standby {
                standby.lock().await.kill().await?;
            }
            service.pool.close().await;
        }
        Ok(())
    }
}

impl Service {
    async fn start(name: Name, plan: &Plan, databases: &Databases) -> Result<Self> {
        let url = databases.create(name).await?;
        let pool = connect(&url)
            .await
            .with_context(|| format!("cannot open the database of {}", name.as_str()))?;
        let settings = Settings {
            database_url: url,
            brokers: plan.broker.brokers().to_owned(),
            mock_brokers: plan.mock,
            listen: free_address()?,
            content_dir: plan.folder.join("content"),
            // Brokers refuse less than six seconds where nobody has configured it, and the mock cluster's groups are not
            // complete before three have passed.
            failover: Duration::from_secs(if plan.mock { 4 } else { 6 }),
            mode: Mode::Outbox,
            shutdown_timeout: Duration::from_secs(10),
        };
        let process = Mutex::new(start_part(name, "service", &settings, plan)?);
        Ok(Self {
            name,
            pool,
            process,
            standby: None,
            settings,
        })
    }

    fn start_part(&self, part: &str, plan: &Plan) -> Result<Process> {
        start_part(self.name, part, &self.settings, plan)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.settings.listen)
    }
}

fn start_part(name: Name, part: &str, settings: &Settings, plan: &Plan) -> Result<Process> {
    let log = plan.folder.join(format!("{}-{part}.log", name.as_str()));
    Process::start(arguments(part, name, settings, &plan.dictionaries), log)
}

fn arguments(part: &str, name: Name, settings: &Settings, dictionaries: &Path) -> Vec<std::ffi::OsString> {
    let failover = settings.failover.as_secs().to_string();
    let listen = settings.listen.to_string();
    let texts = [
        part,
        name.as_str(),
        "--database-url",
        &settings.database_url,
        "--brokers",
        &settings.brokers,
        "--listen",
        &listen,
        "--failover",
        &failover,
    ];
    let mut arguments: Vec<_> = texts.into_iter().map(Into::into).collect();
    if settings.mock_brokers {
        arguments.push("--mock-brokers".into());
    }
    arguments.extend(["--content-dir".into(), settings.content_dir.clone().into()]);
    arguments.extend(["--dictionaries".into(), dictionaries.into()]);
    arguments
}

/// An address that a service can listen at, also after it was started again.
fn free_address() -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("there is no free port")?;
    Ok(listener.local_addr()?)
}
