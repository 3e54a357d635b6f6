//! Copies of a server, made as administrators make them: dumps, base backups, standbys, upgrades.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{PostgresServer, START};
use crate::wait_until;

/// The name of the restore point that [`BaseBackup::recover`] goes back to.
const RESTORE_POINT: &str = "outbox_test";

impl PostgresServer {
    /// A server whose write-ahead log is kept, so that a base backup of it can be brought to a later point in time.
    pub async fn start_archiving(bin: PathBuf) -> Self {
        let mut server = Self::without_data(&std::env::temp_dir(), bin, Vec::new());
        let archive = server.folder.file("archive");
        server.make_folder(&archive);
        server.settings = vec![
            ("archive_mode".to_owned(), "on".to_owned()),
            (
                "archive_command".to_owned(),
                format!("cp %p {}/%f", archive.display()),
            ),
        ];
        server.initialise().await;
        server.start_on_any_port().await;
        server
    }

    /// Copies one of its databases into a new one of another server, as `pg_dump` and `pg_restore` do.
    pub async fn dump_into(&self, database: &str, other: &Self, into: &str) {
        let dump = self.dump(database).await;
        other.create_database(into, "template0").await;
        let into = other.url_of(into);
        let args = ["--exit-on-error", "--dbname", &into, &dump];
        other.run("pg_restore", &args).await;
    }

    /// Writes all of one of its databases into a file, which goes with this server.
    pub async fn dump(&self, database: &str) -> String {
        let file = self.folder.file(&format!("{database}.dump"));
        let (file, from) = (file.display().to_string(), self.url_of(database));
        let args = ["--format=custom", "--file", &file, "--dbname", &from];
        self.run("pg_dump", &args).await;
        file
    }

    /// Puts a dump in the place of what one of its databases has now.
    pub async fn restore_in_place(&self, dump: &str, database: &str) {
        let into = self.url_of(database);
        let args = ["--exit-on-error", "--clean", "--dbname", &into, dump];
        self.run("pg_restore", &args).await;
    }

    /// Makes a database as a copy of another one of this server, to which nobody may be connected.
    pub async fn create_database(&self, name: &str, template: &str) {
        let mut connection = PgConnection::connect(&self.url())
            .await
            .expect("the server answers");
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let created = sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await;
        created.unwrap_or_else(|error| panic!("{name} could not be made of {template}: {error}"));
    }

    /// The URL of one of its databases, as the superuser.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A copy of its files, which is not started yet.
    pub async fn base_backup(&self) -> BaseBackup {
        let copy = Self::without_data(&std::env::temp_dir(), self.bin.clone(), Vec::new());
        let (data, port) = (copy.data(), self.port.to_string());
        let args = [
            "--pgdata",
            &data,
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--username",
            "postgres",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
        ];
        copy.run("pg_basebackup", &args).await;
        BaseBackup(copy)
    }

    /// A hot standby of this server, with all that this one has.
    pub async fn standby(&self) -> Self {
        let BaseBackup(mut standby) = self.base_backup().await;
        let upstream = format!("host=127.0.0.1 port={} user=postgres", self.port);
        standby.settings = vec![("primary_conninfo".to_owned(), upstream)];
        standby.write("data/standby.signal", "");
        standby.start_on_any_port().await;
        self.until_it_has_all(&standby).await;
        standby
    }

    /// Waits until a standby has replayed all that is committed here.
    pub async fn until_it_has_all(&self, standby: &Self) {
        let lsn: Option<String> = self.ask("SELECT pg_current_wal_lsn()::text").await;
        let lsn = lsn.expect("the primary says how far it is");
        let has_it = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn");
        wait_until("the standby to have all", START, || standby.is_so(&has_it)).await;
    }

    /// Promotes a standby that was stopped, at the address of its primary, which crashes here. Whatever was
    /// committed since the stop is lost, as in any fail-over to a replica that lags behind.
    pub async fn take_place_of(&mut self, mut primary: Self) {
        primary.kill();
        self.settings.clear();
        self.port = primary.port;
        self.restart().await;
        self.promote().await;
    }

    /// Makes a standby a primary.
    pub async fn promote(&self) {
        let promoted: Option<bool> = self.ask("SELECT pg_promote()").await;
        assert_eq!(promoted, Some(true), "the standby was not promoted");
        self.until_it_is_primary().await;
    }

    async fn until_it_is_primary(&self) {
        wait_until("the recovery to end", START, || {
            self.is_so("SELECT NOT pg_is_in_recovery()")
        })
        .await;
    }

    async fn is_so(&self, question: &str) -> Option<()> {
        let is_so: Option<bool> = self.ask(question).await;
        is_so.filter(|is_so| *is_so).map(drop)
    }

    /// The answer to a question, unless the server does not answer.
    async fn ask<T>(&self, question: &str) -> Option<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut connection = PgConnection::connect(&self.url()).await.ok()?;
        let asked = sqlx::query_scalar(AssertSqlSafe(question.to_owned()));
        asked.fetch_one(&mut connection).await.ok()
    }

    /// Stops this server and makes a new one of it by `pg_upgrade`: other files, and another system identifier.
    pub async fn upgrade(mut self) -> Self {
        self.stop().await;
        let mut new = Self::without_data(&std::env::temp_dir(), self.bin.clone(), self.settings.clone());
        new.initialise().await;
        let (bin, old_data, new_data) = (self.bin.display().to_string(), self.data(), new.data());
        let sockets = new.folder.file("sockets");
        new.make_folder(&sockets);
        let sockets = sockets.display().to_string();
        let args = [
            "--old-bindir",
            &bin,
            "--new-bindir",
            &bin,
            "--old-datadir",
            &old_data,
            "--new-datadir",
            &new_data,
            "--username",
            "postgres",
            "--socketdir",
            &sockets,
        ];
        new.run("pg_upgrade", &args).await;
        new.start_on_any_port().await;
        new
    }

    fn make_folder(&self, folder: &Path) {
        fs::create_dir(folder).expect("a folder can be made");
        if let Some(user) = self.user {
            std::os::unix::fs::chown(folder, Some(user.uid), Some(user.gid))
                .expect("the folder can be given away");
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.file(file);
        fs::write(&path, text).expect("a file can be written");
        if let Some(user) = self.user {
            std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
                .expect("the file can be given away");
        }
    }
}

/// A copy of a server's files that is not started yet.
#[derive(Debug)]
pub struct BaseBackup(PostgresServer);

impl BaseBackup {
    /// Starts it as it is: nothing in it knows that it is a copy.
    pub async fn start(self) -> PostgresServer {
        let Self(mut server) = self;
        server.start_on_any_port().await;
        server
    }

    /// Creates a restore point in the original, to which [`recover`](Self::recover) goes back.
    pub async fn mark(original: &PostgresServer) {
        let point = format!("SELECT pg_create_restore_point('{RESTORE_POINT}')::text");
        let made: Option<String> = original.ask(&point).await;
        made.expect("a restore point can be made");
    }

    /// Brings the copy to the restore point of its original, which ends here, and starts it in its place, at the
    /// same address.
    pub async fn recover(self, mut original: PostgresServer) -> PostgresServer {
        let Self(mut server) = self;
        let segment: Option<String> = original.ask("SELECT pg_walfile_name(pg_switch_wal())").await;
        let segment = segment.expect("the log can be switched");
        let archive = original.folder.file("archive");
        wait_until("the last segment to be archived", START, || {
            std::future::ready(archive.join(&segment).exists().then_some(()))
        })
        .await;
        original.stop().await;
        server.settings = [
            ("restore_command", format!("cp {}/%f %p", archive.display())),
            ("recovery_target_name", RESTORE_POINT.to_owned()),
            ("recovery_target_action", "promote".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        server.write("data/recovery.signal", "");
        server.port = original.port;
        server.restart().await;
        server.until_it_is_primary().await;
        server
    }
}
