//! The service as a whole: what is started, in which order, and what is stopped, in the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use outbox_runtime::modes::Modes;
use outbox_runtime::relay::RunningRelay;
use outbox_runtime::{Outbox, PostgresStore, Relay, RelayConfig, RelayError};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::content_store::{ContentStore, sweep};
use crate::http::{self, App};
use crate::processing::Processor;

/// The outbox's tables, as `outbox generate migration` writes them, and the service's own.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// How often contents that nobody refers to are looked for, and for how long nobody has.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const UNUSED_FOR: Duration = Duration::from_secs(3_600);

/// A running service. Dropping it is a crash: what it had not finished, the next one does.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    pool: PgPool,
    relay: RunningRelay,
    server: JoinHandle<std::io::Result<()>>,
    workers: JoinHandle<()>,
    sweeper: JoinHandle<()>,
    stop_serving: CancellationToken,
    stop_working: CancellationToken,
    shutdown_timeout: Duration,
}

/// Why the service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be brought to this version.
    #[error("the database's tables cannot be migrated")]
    Migrations(#[from] sqlx::migrate::MigrateError),
    /// The folder for files cannot be used.
    #[error("the content store cannot be opened")]
    ContentStore(#[source] std::io::Error),
    /// Kafka's settings are wrong.
    #[error("the Kafka publisher cannot be made")]
    Publisher(#[from] outbox_runtime::publisher::PublishError),
    /// The relay could not be started, or ended by itself.
    #[error("the relay failed")]
    Relay(#[from] RelayError),
    /// The address cannot be listened on.
    #[error("the address cannot be listened on")]
    Listen(#[source] std::io::Error),
}

impl Service {
    /// Brings the tables up to date and starts to relay, to process and to listen.
    ///
    /// A broker that is away is no obstacle.
    ///
    /// # Errors
    /// Something that it cannot start without.
    pub async fn start(config: Config) -> Result<Self, ServiceError> {
        // A pool would try again for long, and forget why it could not connect.
        PgConnection::connect(&config.database_url).await?.close().await?;
        let pool = PgPoolOptions::new().connect(&config.database_url).await?;
        MIGRATIONS.run(&pool).await?;
        let store = ContentStore::open(&config.content_dir)
            .await
            .map_err(ServiceError::ContentStore)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(ServiceError::Listen)?;
        let address = listener.local_addr().map_err(ServiceError::Listen)?;

        let modes = Modes::new(config.publisher()?).default_mode(config.mode);
        let outbox = Outbox::builder(pool.clone()).modes(modes).build();
        let settings = RelayConfig::new().lease_ttl(config.failover);
        let relay = Relay::builder(PostgresStore::new(&pool), config.publisher()?)
            .config(settings)
            .waker(outbox.waker())
            .build()?
            .spawn();

        let processor = Processor::new(outbox.clone(), store.clone(), config.text_length(), config.claim);
        let app = App {
            outbox,
            store: store.clone(),
            processor: processor.clone(),
            limits: config.upload_limits(),
            relay: relay.progress().clone(),
        };
        let (stop_serving, stop_working) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self {
            address,
            pool: pool.clone(),
            relay,
            server: tokio::spawn(serve(listener, http::router(app), stop_serving.clone())),
            workers: tokio::spawn(processor.run(config.workers, stop_working.clone())),
            sweeper: tokio::spawn(keep_swept(store, pool.clone())),
            stop_serving,
            stop_working,
            shutdown_timeout: config.shutdown_timeout,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the relay ends by itself, which it does only for a reason that no waiting cures;
    /// [`stop`](Self::stop) ends it. Cancel safe.
    pub async fn failed(&self) {
        self.relay.ended().await;
    }

    /// Takes no more requests, lets those that are open end, then the uploads that are at work, then what is on
    /// its way to the broker.
    ///
    /// # Errors
    /// The relay had ended before, for a reason that no waiting cures. What it had not sent is in the log.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        self.stop_serving.cancel();
        let served = tokio::time::timeout(self.shutdown_timeout, &mut self.server).await;
        if served.is_err() {
            tracing::warn!("requests were still open, and are cut");
            self.server.abort();
        }
        self.stop_working.cancel();
        if let Err(error) = (&mut self.workers).await {
            tracing::error!(%error, "the workers ended");
        }
        let report = self.relay.stop().await?.unwrap_or_default();
        tracing::info!(delivered = report.delivered, "stopped");
        self.pool.close().await;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
        self.workers.abort();
        self.sweeper.abort();
    }
}

/// Removes contents that nobody refers to, now and then.
async fn keep_swept(store: ContentStore, pool: PgPool) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        match sweep(&store, &pool, UNUSED_FOR).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "contents that nobody refers to were removed"),
            Err(error) => tracing::warn!(%error, "contents cannot be swept now"),
        }
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    let stop = Arc::new(stop);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use outbox_runtime::Tables;
    use outbox_runtime::schema::{Dialect, Migration};

    /// As `outbox generate migration --check` has it.
    #[test]
    fn the_outbox_tables_are_those_of_this_version() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let migration = Migration::create(Dialect::Postgres, &Tables::default());
        let read = |file: String| std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read(migration.up_file()), migration.up());
        assert_eq!(read(migration.down_file()), migration.down());
    }
}
