//! Databases of a test's own.

use std::future::Future;

use chrono::{DateTime, Utc};
use sqlx::Pool;
use uuid::Uuid;

use crate::database::OutboxDatabase;
use crate::event::Payload;
use crate::message::OutboxMessage;
use crate::schema::SchemaDatabase;
use crate::store::Store;

/// A database of which each test can have its own: SQLite and PostgreSQL. Sealed.
pub trait TestDatabase: OutboxDatabase + SchemaDatabase + Backend {}

impl<DB: Backend> TestDatabase for DB {}

/// A new database.
#[derive(Debug)]
pub struct Fixture<DB: sqlx::Database> {
    pub(super) pool: Pool<DB>,
    pub(super) remains: Remains,
}

/// What has to be cleaned up.
pub(super) enum Remains {
    /// Nothing, or somebody else does it.
    None,
    /// A database in memory is there as long as somebody is connected to it.
    #[cfg(feature = "sqlite")]
    Memory {
        _connection: Box<sqlx::SqliteConnection>,
    },
    /// A database on a server.
    #[cfg(feature = "postgres")]
    Server {
        /// Where it was created.
        server: Box<sqlx::postgres::PgConnectOptions>,
        /// Its name.
        name: String,
    },
}

impl std::fmt::Debug for Remains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            #[cfg(feature = "sqlite")]
            Self::Memory { .. } => "Memory",
            #[cfg(feature = "postgres")]
            Self::Server { .. } => "Server",
        })
    }
}

/// What differs between databases.
pub trait Backend: OutboxDatabase + SchemaDatabase {
    /// The log that a relay reads.
    type Store: Store;

    /// Creates a new and empty database.
    fn create() -> impl Future<Output = Fixture<Self>> + Send;

    /// The log in it.
    fn store(pool: &Pool<Self>) -> Self::Store;

    /// All messages in it, in their order.
    fn messages(pool: &Pool<Self>) -> impl Future<Output = Vec<OutboxMessage>> + Send;
}

/// A row as both databases give it, everything that is not bytes as text.
type Row = (
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    Option<Vec<u8>>,
    String,
    Option<String>,
    String,
    String,
);

fn message(row: Row) -> OutboxMessage {
    let (
        id,
        aggregate_type,
        key,
        event_type,
        topic,
        json,
        binary,
        content_type,
        source,
        headers,
        occurred_at,
    ) = row;
    let payload = match (json, binary) {
        (Some(text), _) => Payload::Json(text),
        (None, Some(bytes)) => Payload::Binary(bytes),
        (None, None) => Payload::Tombstone,
    };
    let headers: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&headers).expect("headers are a JSON object");
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let occurred_at = DateTime::parse_from_rfc3339(&occurred_at).expect("times are RFC 3339");
    OutboxMessage {
        id: Uuid::parse_str(&id).expect("ids are UUIDs"),
        aggregate_type,
        key,
        event_type,
        topic,
        payload,
        content_type,
        source,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect(),
        occurred_at: occurred_at.with_timezone(&Utc),
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::time::Duration;

    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
    use sqlx::{ConnectOptions, Pool, Sqlite};

    use super::{Backend, Fixture, Remains, message};
    use crate::message::OutboxMessage;
    use crate::store::SqliteStore;

    impl Backend for Sqlite {
        type Store = SqliteStore;

        async fn create() -> Fixture<Self> {
            // A name of its own, behind which all connections of this pool find the same database.
            let options: SqliteConnectOptions = "sqlite::memory:".parse().expect("a URL");
            let connection = Box::new(options.connect().await.expect("SQLite works in memory"));
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(Duration::from_secs(5))
                .connect_with(options);
            Fixture {
                pool: pool.await.expect("SQLite works in memory"),
                remains: Remains::Memory {
                    _connection: connection,
                },
            }
        }

        fn store(pool: &Pool<Self>) -> SqliteStore {
            SqliteStore::new(pool)
        }

        async fn messages(pool: &Pool<Self>) -> Vec<OutboxMessage> {
            let sql = "SELECT id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary, \
                       content_type, source, headers, occurred_at FROM outbox_messages ORDER BY seq";
            let rows = sqlx::query_as(sql).fetch_all(pool).await;
            rows.expect("messages can be read")
                .into_iter()
                .map(message)
                .collect()
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::postgres::PgPoolOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Pool, Postgres};

    use super::{Backend, Fixture, Remains, message};
    use crate::message::OutboxMessage;
    use crate::store::PostgresStore;
    use crate::testkit::servers;

    impl Backend for Postgres {
        type Store = PostgresStore;

        async fn create() -> Fixture<Self> {
            let server = servers::server().await;
            let name = format!("outbox_test_{}", uuid::Uuid::now_v7().simple());
            let mut connection = server.connect().await.expect("the server for tests answers");
            let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
            let created = sqlx::raw_sql(create).execute(&mut connection).await;
            created.expect("the server's role may create databases");
            let remains = Remains::Server {
                server: Box::new(server.clone()),
                name: name.clone(),
            };
            let pool = PgPoolOptions::new().connect_with(server.database(&name)).await;
            Fixture {
                pool: pool.expect("the new database can be connected to"),
                remains,
            }
        }

        fn store(pool: &Pool<Self>) -> PostgresStore {
            PostgresStore::new(pool)
        }

        async fn messages(pool: &Pool<Self>) -> Vec<OutboxMessage> {
            let sql = "SELECT id::text, aggregate_type, aggregate_id, event_type, topic, payload::text, payload_binary, \
                       content_type, source, headers::text, \
                       to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
                       FROM outbox_messages ORDER BY seq";
            let rows = sqlx::query_as(sql).fetch_all(pool).await;
            rows.expect("messages can be read")
                .into_iter()
                .map(message)
                .collect()
        }
    }

    impl Drop for Remains {
        fn drop(&mut self) {
            let Self::Server { server, name } = self else {
                return;
            };
            let (server, name) = (server.clone(), name.clone());
            // A runtime of its own: the test's may be the one that is unwinding.
            let dropped = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(sqlx::Error::Io)?.block_on(async {
                    let mut connection = server.connect().await?;
                    let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
                    sqlx::raw_sql(drop).execute(&mut connection).await
                })
            });
            if let Ok(Err(error)) = dropped.join() {
                eprintln!("a test's database is left behind: {error}");
            }
        }
    }
}
