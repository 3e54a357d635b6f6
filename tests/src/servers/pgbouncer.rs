//! A pooler between a client and PostgreSQL.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::net::TcpStream;

use super::folder::{ServerFolder, ServerUser};
use super::port::free_port;
use super::process::ServerProcess;
use crate::wait_until;

/// When a server connection goes to another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// When its transaction ends.
    Transaction,
}

/// PgBouncer before a PostgreSQL server, on a port of the loopback address, for the superuser only.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    // Before the folder: fields are dropped in order, and the process writes there.
    _process: ServerProcess,
    _folder: ServerFolder,
}

impl PgBouncer {
    /// Starts one before the server at `database_url`, with at most so many server connections for each database.
    /// `dropped` are the parameters of a connection's start that it drops; it refuses others that it does not know.
    pub async fn start(database_url: &str, mode: PoolMode, connections: u32, dropped: &[&str]) -> Self {
        let server: PgConnectOptions = database_url.parse().expect("DATABASE_URL is a URL");
        let user = ServerUser::unprivileged();
        let folder = ServerFolder::new("pgbouncer", user);
        let port = free_port();
        let mode = match mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let settings = format!(
            "[databases]\n* = host={} port={} user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 200\n\
             server_round_robin = 1\nserver_reset_query_always = 1\nunix_socket_dir =\nignore_startup_parameters = {}\n",
            server.get_host(),
            server.get_port(),
            server.get_username(),
            dropped.join(","),
        );
        let file = folder.file("pgbouncer.ini");
        fs::write(&file, settings).expect("its settings can be written");
        let arguments = [file.to_string_lossy().into_owned()];
        let process = ServerProcess::start(
            Path::new("/usr/sbin/pgbouncer"),
            &arguments,
            user,
            &folder.file("pgbouncer.log"),
        );
        wait_until("PgBouncer to listen", Duration::from_secs(60), async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// The URL of this database through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A pool of connections through the pooler, as a service has to make it where the pooler does not follow prepared
    /// statements: each is prepared anew, in the transaction that it runs in, and the pooler forgets it behind that.
    pub fn pool(&self, database: &str, connections: u32) -> PgPool {
        let options: PgConnectOptions = self.url(database).parse().expect("it is a URL");
        PgPoolOptions::new()
            .max_connections(connections)
            .connect_lazy_with(options.statement_cache_capacity(0))
    }
}
