//! A PostgreSQL server of one's own.

mod copies;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::{Connection, PgConnection};

use super::certificates::Certificates;
use super::environment::PostgresVersion;
use super::folder::{ServerFolder, ServerUser};
use super::port::free_port;
use super::process::ServerProcess;
use crate::wait_until;

pub use copies::BaseBackup;

/// How long a start may take: recovery after a crash included, on a machine that is busy compiling.
const START: Duration = Duration::from_secs(180);

/// A PostgreSQL server in a temporary folder, on a port of the loopback address, open to all who can reach it.
///
/// Dropping it kills it and removes the folder.
#[derive(Debug)]
pub struct PostgresServer {
    bin: PathBuf,
    settings: Vec<(String, String)>,
    port: u16,
    // Before the folder: fields are dropped in order, and the process writes there.
    process: Option<ServerProcess>,
    folder: ServerFolder,
    user: Option<ServerUser>,
}

impl PostgresServer {
    /// A new server of this version with PostgreSQL's own settings.
    pub async fn start(version: PostgresVersion) -> Self {
        Self::start_with(version, &[]).await
    }

    /// A new server of this version with further settings, as in `postgresql.conf`.
    pub async fn start_with(version: PostgresVersion, settings: &[(&str, &str)]) -> Self {
        Self::start_from(version.bin(), settings).await
    }

    /// A new server made from the programs in `bin`, whatever version they are of.
    pub async fn start_from(bin: PathBuf, settings: &[(&str, &str)]) -> Self {
        Self::start_within(&std::env::temp_dir(), bin, settings).await
    }

    /// The same with its folder in `parent`, such as a disk that can be full.
    pub async fn start_within(parent: &Path, bin: PathBuf, settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let mut server = Self::without_data(parent, bin, settings);
        server.initialise().await;
        server.start_on_any_port().await;
        server
    }

    fn without_data(parent: &Path, bin: PathBuf, settings: Vec<(String, String)>) -> Self {
        let user = ServerUser::unprivileged();
        Self {
            bin,
            settings,
            port: free_port(),
            process: None,
            folder: ServerFolder::within(parent, "postgres", user),
            user,
        }
    }

    async fn start_on_any_port(&mut self) {
        while let Err(reason) = self.launch().await {
            // Somebody took the port between our look at it and the server's.
            assert!(
                reason.contains("could not bind"),
                "PostgreSQL did not start:\n{reason}"
            );
            self.port = free_port();
        }
    }

    /// A new server that takes only encrypted connections, with this certificate's server half: the superuser comes in
    /// without a password, the role `certified` with a client's certificate, all others with a password.
    pub async fn start_encrypted(certificates: &Certificates, settings: &[(&str, &str)]) -> Self {
        let (certificate, key) = (certificates.text("server.pem"), certificates.text("server.key"));
        let (authority, hba) = (certificates.text("ca.pem"), certificates.path("pg_hba.conf"));
        let rules = "hostssl all postgres 127.0.0.1/32 trust\n\
                     hostssl all certified 127.0.0.1/32 cert\n\
                     hostssl all all 127.0.0.1/32 scram-sha-256\n\
                     local all all scram-sha-256\n";
        fs::write(&hba, rules).expect("the rules can be written");
        let hba = hba.display().to_string();
        let encrypted = [
            ("ssl", "on"),
            ("ssl_cert_file", certificate.as_str()),
            ("ssl_key_file", key.as_str()),
            ("ssl_ca_file", authority.as_str()),
            ("hba_file", hba.as_str()),
        ];
        let settings: Vec<_> = encrypted.iter().chain(settings).copied().collect();
        Self::start_with(PostgresVersion::Distribution, &settings).await
    }

    /// The URL of its database `postgres`, as the superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Whether it was started, and neither stopped nor killed nor ended by itself since.
    pub fn runs(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.exited().is_none())
    }

    /// Its folder, with its log files and, in `data`, the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections and stops it in order (a "fast" shutdown).
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(Signal::INT).await;
        }
    }

    /// Crashes it: all its processes are gone when this returns, nothing is written any more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same data and port; stops it in order before, if it still runs.
    pub async fn restart(&mut self) {
        self.stop().await;
        if let Err(reason) = self.launch().await {
            panic!("PostgreSQL did not start again:\n{reason}");
        }
    }

    /// Stops all its processes where they are, until [`thaw`](Self::thaw): connections stay open, nothing
    /// answers.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Ends every client's connection with the error `57P01`, and says how many there were.
    pub async fn terminate_connections(&self) -> i64 {
        let mut connection = PgConnection::connect(&self.url())
            .await
            .expect("the server can be reached");
        let ended = sqlx::query_scalar(
            "SELECT count(*) FROM (
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
             ) AS ended",
        )
        .fetch_one(&mut connection)
        .await
        .expect("connections can be terminated");
        connection
            .close()
            .await
            .expect("our own connection is still there");
        ended
    }

    fn running(&self) -> &ServerProcess {
        self.process.as_ref().expect("the server runs")
    }

    async fn initialise(&self) {
        let data = self.data();
        let args = [
            "-D",
            &data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        self.run("initdb", &args).await;
    }

    /// Runs one of PostgreSQL's programs to its end, as the user that the server belongs to.
    async fn run(&self, name: &str, args: &[&str]) {
        let args: Vec<_> = args.iter().map(|arg| arg.to_string()).collect();
        let log = self.folder.file(&format!("{name}.log"));
        let mut process = ServerProcess::start(&self.program(name), &args, self.user, &log);
        let status = wait_until(name, START, || std::future::ready(process.exited())).await;
        assert!(status.success(), "{name} failed:\n{}", process.last_words());
    }

    /// Starts the server and waits until it takes connections; else says what it said last.
    async fn launch(&mut self) -> Result<(), String> {
        let port = self.port.to_string();
        let fixed = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", ""),
        ];
        let chosen = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let settings = fixed
            .into_iter()
            .chain(chosen)
            .map(|(name, value)| format!("--{name}={value}"));
        let args: Vec<_> = ["-D".to_owned(), self.data()]
            .into_iter()
            .chain(settings)
            .collect();
        let log = self.folder.file("server.log");
        let mut process = ServerProcess::start(&self.program("postgres"), &args, self.user, &log);
        let status_file = self.folder.file("data/postmaster.pid");
        let started = wait_until("PostgreSQL to start", START, || {
            std::future::ready(match process.exited() {
                Some(_) => Some(Err(process.last_words())),
                None => is_ready(&status_file, process.id()).then_some(Ok(())),
            })
        });
        started.await?;
        self.process = Some(process);
        Ok(())
    }

    fn data(&self) -> String {
        self.folder.file("data").display().to_string()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// The server's own status file says whose it is and how far that one is; a crashed server leaves its behind.
fn is_ready(status_file: &Path, id: u32) -> bool {
    let status = fs::read_to_string(status_file).unwrap_or_default();
    let line = |n| status.lines().nth(n).map(str::trim);
    line(0) == Some(&id.to_string()) && matches!(line(7), Some("ready" | "standby"))
}
