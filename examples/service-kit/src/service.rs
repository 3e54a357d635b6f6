//! A service as a whole: what is started, in which order, and what is stopped, in the other.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router, middleware};
use outbox_runtime::consumer::{ConsumerBuilder, RunningConsumer};
use outbox_runtime::relay::{RelayBuilder, RunningRelay};
use outbox_runtime::{KafkaPublisher, Outbox, Relay, RelayConfig, RelayProgress};
use sqlx::Pool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::context::in_context;
use crate::database::{Db, Store, Tables, connect, create_tables, open_outbox};
use crate::{ServiceError, Settings};

/// What is particular to a service.
pub trait Blueprint {
    /// The tables of the service.
    const TABLES: Tables;

    /// What it reads from the others; none if it reads nothing.
    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Option<ConsumerBuilder<Db>>;

    /// Its API; `/health` is added.
    fn router(&self, outbox: Outbox<Db>) -> Router;
}

/// A running service. Dropping it is a crash: what it had not finished, the next one does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    pool: Pool<Db>,
    relay: RunningRelay,
    consumer: Option<RunningConsumer>,
    server: JoinHandle<std::io::Result<()>>,
    stop_serving: CancellationToken,
    shutdown_timeout: Duration,
}

/// Brings the tables up to date and starts to relay, to consume and to listen. Brokers that are away are no obstacle.
///
/// # Errors
/// Something that the service cannot start without.
pub async fn start(settings: &Settings, service: &impl Blueprint) -> Result<Running, ServiceError> {
    let pool = connect(&settings.database_url).await?;
    create_tables(&pool, tables(service)).await?;
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;

    let outbox = open_outbox(settings, &pool)?;
    let relay = relay(settings, &pool)?.waker(outbox.waker()).build()?.spawn();
    let consumer = match service.consumer(&outbox, &settings.brokers) {
        None => None,
        Some(consumer) => {
            let milliseconds = settings.failover.as_millis();
            let consumer = consumer
                .property("session.timeout.ms", milliseconds.to_string())
                .property("socket.timeout.ms", milliseconds.to_string())
                .property("heartbeat.interval.ms", (milliseconds / 4).to_string());
            Some(consumer.build()?.spawn())
        }
    };

    let health = Router::new()
        .route("/health", get(health))
        .with_state((pool.clone(), relay.progress().clone()));
    let router = service.router(outbox).layer(middleware::from_fn(in_context));
    let router = router.merge(health);
    let stop_serving = CancellationToken::new();
    let stopped = stop_serving.clone();
    let server = tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { stopped.cancelled().await })
            .await
    });
    Ok(Running {
        address,
        pool,
        relay,
        consumer,
        server,
        stop_serving,
        shutdown_timeout: settings.shutdown_timeout,
    })
}

/// The relay of a service, for the service itself or for a process that stands by.
///
/// # Errors
/// Kafka's settings are wrong.
pub fn relay(
    settings: &Settings,
    pool: &Pool<Db>,
) -> Result<RelayBuilder<Store, KafkaPublisher>, ServiceError> {
    let config = RelayConfig::new()
        .lease_ttl(settings.failover)
        .shutdown_timeout(settings.shutdown_timeout);
    Ok(Relay::builder(Store::new(pool), settings.publisher()?).config(config))
}

fn tables<B: Blueprint>(_: &B) -> Tables {
    B::TABLES
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database.
    pub fn pool(&self) -> &Pool<Db> {
        &self.pool
    }

    /// The relay's counters.
    pub fn relay(&self) -> &RelayProgress {
        self.relay.progress()
    }

    /// Waits until relay or consumer end by themselves, which they do only for a reason that no waiting cures;
    /// [`stop`](Self::stop) ends it. Cancel safe.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.relay.ended() => {}
            () = consumer_ended(self.consumer.as_ref()) => {}
        }
    }

    /// Takes no more requests and messages, lets those that are open end, then what is on its way to the broker.
    ///
    /// # Errors
    /// Relay or consumer had ended before. What was not sent is in the log.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        self.stop_serving.cancel();
        if tokio::time::timeout(self.shutdown_timeout, &mut self.server)
            .await
            .is_err()
        {
            tracing::warn!("requests were still open, and are cut");
            self.server.abort();
        }
        let consumed = match &self.consumer {
            Some(consumer) => consumer.stop().await.map(drop),
            None => Ok(()),
        };
        self.relay.stop().await?;
        self.pool.close().await;
        Ok(consumed?)
    }
}

async fn consumer_ended(consumer: Option<&RunningConsumer>) {
    match consumer {
        Some(consumer) => consumer.ended().await,
        None => std::future::pending().await,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// `GET /health`: 200 while the database answers. A broker that is away is no illness: events wait.
async fn health(
    State((pool, relay)): State<(Pool<Db>, RelayProgress)>,
) -> (StatusCode, Json<serde_json::Value>) {
    let asked = sqlx::query("SELECT 1").execute(&pool);
    let database = matches!(
        tokio::time::timeout(Duration::from_secs(2), asked).await,
        Ok(Ok(_))
    );
    let status = if database {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let relaying = relay.is_active();
    let body =
        serde_json::json!({ "database": database, "relaying": relaying, "delivered": relay.delivered() });
    (status, Json(body))
}
