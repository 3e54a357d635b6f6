//! A service as a whole: what is started, in which order, and what is stopped, in the other.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use outbox_runtime::consumer::{ConsumerError, RunningConsumer};
use outbox_runtime::relay::RunningRelay;
use outbox_runtime::{Consumer, KafkaPublisher, Outbox, Relay, RelayProgress};
use sqlx::Pool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::{Db, Store, Tables, connect, create_tables};
use crate::{ServiceError, Settings};

/// What is particular to a service.
pub trait Blueprint {
    /// The tables of the service.
    const TABLES: Tables;

    /// What it reads from the others.
    ///
    /// # Errors
    /// A setting is wrong.
    fn consumer(&self, outbox: &Outbox<Db>, brokers: &str) -> Result<Consumer<Db>, ConsumerError>;

    /// Its API; `/health` is added.
    fn router(&self, outbox: Outbox<Db>) -> Router;
}

/// A running service. Dropping it is a crash: what it had not finished, the next one does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    pool: Pool<Db>,
    relay: RunningRelay,
    consumer: RunningConsumer,
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

    let outbox = Outbox::new(pool.clone());
    let mut publisher = KafkaPublisher::builder(&settings.brokers);
    if settings.mock_brokers {
        publisher = publisher.assume_topic_limits();
    }
    let relay = Relay::builder(Store::new(&pool), publisher.build()?)
        .waker(outbox.waker())
        .build()?
        .spawn();
    let consumer = service.consumer(&outbox, &settings.brokers)?.spawn();

    let health = Router::new()
        .route("/health", get(health))
        .with_state((pool.clone(), relay.progress().clone()));
    let router = service.router(outbox).merge(health);
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
    /// [`stop`](Self::stop) tells it. Cancel safe.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.relay.ended() => {}
            () = self.consumer.ended() => {}
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
        let consumed = self.consumer.stop().await;
        self.relay.stop().await?;
        self.pool.close().await;
        consumed?;
        Ok(())
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
