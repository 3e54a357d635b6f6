//! A database and a broker of a test's own.

use outbox_runtime::{Tables, migrate};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::{KafkaServer, PostgresServer, PostgresVersion};

/// Both, in order to break them: a database with the outbox's tables that knows transactions in two phases, and a few
/// connections to it.
///
/// # Panics
/// If one does not start.
pub async fn pair() -> (PostgresServer, KafkaServer, PgPool) {
    let settings = [("max_prepared_transactions", "30"), ("max_connections", "100")];
    let (postgres, kafka) = tokio::join!(
        PostgresServer::start_with(PostgresVersion::Distribution, &settings),
        KafkaServer::start()
    );
    let options = PgPoolOptions::new().max_connections(3);
    let pool = options.connect(&postgres.url()).await.expect("it answers");
    migrate(&pool, &Tables::default())
        .await
        .expect("it can be migrated");
    (postgres, kafka, pool)
}
