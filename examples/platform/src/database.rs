//! A new database for each service: a file of SQLite, or one on a PostgreSQL server.

use std::path::PathBuf;

use anyhow::Result;

use crate::arguments::Name;

/// Where databases are created.
pub(crate) struct Databases {
    /// Makes their names different from those of other runs.
    run: String,
    place: Place,
}

enum Place {
    #[cfg(not(feature = "postgres"))]
    Folder(PathBuf),
    #[cfg(feature = "postgres")]
    Server(Box<sqlx::postgres::PgConnectOptions>),
}

impl Databases {
    /// A name of the database of a service, which is also the source of its events.
    fn name(&self, name: Name) -> String {
        format!("platform_{}_{}", self.run, name.as_str().replace('-', "_"))
    }
}

#[cfg(not(feature = "postgres"))]
impl Databases {
    /// In a folder.
    pub(crate) fn new(run: String, folder: PathBuf, server: Option<&str>) -> Result<Self> {
        if server.is_some() {
            anyhow::bail!(
                "this build works on SQLite: run `cargo run -p platform --features postgres -- --database-url URL`"
            );
        }
        let place = Place::Folder(folder);
        Ok(Self { run, place })
    }

    /// The URL of a new database.
    pub(crate) async fn create(&self, name: Name) -> Result<String> {
        let Place::Folder(folder) = &self.place;
        let path = folder.join(self.name(name)).with_extension("db");
        Ok(format!("sqlite:{}", path.display()))
    }

    /// The files go with their folder.
    pub(crate) async fn drop(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use anyhow::Context;
    use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

    use super::*;

    impl Databases {
        /// On a server.
        pub(crate) fn new(run: String, _: PathBuf, server: Option<&str>) -> Result<Self> {
            let server = server.context(
                "this build works on PostgreSQL: write --database-url postgres://user:password@host/postgres, or build \
                 without `--features postgres` for SQLite. On Debian: apt install postgresql",
            )?;
            let server = server.parse().context("--database-url is no PostgreSQL URL")?;
            let place = Place::Server(Box::new(server));
            Ok(Self { run, place })
        }

        /// The URL of a new database.
        pub(crate) async fn create(&self, name: Name) -> Result<String> {
            let Place::Server(server) = &self.place;
            self.run(format!("CREATE DATABASE {}", self.name(name))).await?;
            Ok(server.clone().database(&self.name(name)).to_url_lossy().into())
        }

        /// Drops all of them.
        pub(crate) async fn drop(&self) -> Result<()> {
            for name in Name::ALL {
                self.run(format!(
                    "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                    self.name(name)
                ))
                .await?;
            }
            Ok(())
        }

        async fn run(&self, sql: String) -> Result<()> {
            let Place::Server(server) = &self.place;
            let mut connection = server.connect().await.with_context(|| {
                format!(
                    "no PostgreSQL server answers at {}:{}: start it, or leave --database-url out and build \
                         without `--features postgres` for SQLite",
                    server.get_host(),
                    server.get_port()
                )
            })?;
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
            done.context("the role of --database-url has to be allowed to create databases")?;
            connection.close().await?;
            Ok(())
        }
    }
}
