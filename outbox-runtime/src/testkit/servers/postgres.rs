//! The PostgreSQL server that databases for tests are created on.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;

use super::local::{LocalServer, User};
use super::{Found, found, on_path, variable};

/// The folder of PostgreSQL's programs; empty for none.
const BIN: &str = "OUTBOX_TEST_POSTGRES_BIN";

const WAYS: &str = "a test on PostgreSQL needs a server, by one of these ways:\n\
     - set DATABASE_URL to one where databases may be created, such as postgres://postgres@localhost/postgres\n\
     - install PostgreSQL's programs, or name the folder with `initdb` in OUTBOX_TEST_POSTGRES_BIN: tests start their own\n\
     - enable the feature `testcontainers` of outbox-runtime and start Docker\n\
     or test with `TestOutbox::<Sqlite>`";

/// The server, with the database to connect to.
///
/// # Panics
/// There is none. The report names the ways to one.
pub(in crate::testkit) async fn server() -> PgConnectOptions {
    static SERVER: Found<PgConnectOptions> = Found::new();
    found(&SERVER, find).await
}

fn find() -> Result<PgConnectOptions, String> {
    // It may be another database's, for sqlx's own macros.
    if let Some(url) = variable("DATABASE_URL").filter(|url| url.starts_with("postgres")) {
        let options = url.parse();
        return options.map_err(|error| format!("DATABASE_URL is no PostgreSQL URL: {error}"));
    }
    match programs() {
        Some(bin) => local(&bin),
        None => container(),
    }
}

fn local(bin: &Path) -> Result<PgConnectOptions, String> {
    let started = LocalServer::start(include_str!("postgres.sh"), &[bin.as_os_str()], User::Ordinary);
    let server =
        started.map_err(|said| format!("PostgreSQL does not start from {}:\n{said}", bin.display()))?;
    Ok(PgConnectOptions::new_without_pgpass()
        .socket(server.keep())
        .port(5432)
        .username("postgres")
        .database("postgres"))
}

#[cfg(feature = "testcontainers")]
fn container() -> Result<PgConnectOptions, String> {
    let address = super::containers::postgres().map_err(|why| format!("{why}\n{WAYS}"))?;
    Ok(PgConnectOptions::new_without_pgpass()
        .host(&address.host)
        .port(address.port)
        .username("postgres")
        .password("postgres")
        .database("postgres"))
}

#[cfg(not(feature = "testcontainers"))]
fn container() -> Result<PgConnectOptions, String> {
    Err(WAYS.to_owned())
}

/// The folder of PostgreSQL's programs: the one that is named, else the path's, else where distributions have them,
/// the newest version first.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(BIN) {
        return (!folder.is_empty()).then(|| folder.into());
    }
    if let Some(initdb) = on_path("initdb") {
        return initdb.parent().map(Path::to_owned);
    }
    let installed = |parent: &str, prefix: &str| {
        let versions = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let version = |name: &str| name.strip_prefix(prefix)?.parse::<f32>().ok();
        versions
            .filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path().join("bin"))))
            .filter(|(_, bin)| bin.join("initdb").is_file())
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, bin)| bin)
    };
    installed("/usr/lib/postgresql", "").or_else(|| installed("/usr", "pgsql-"))
}
