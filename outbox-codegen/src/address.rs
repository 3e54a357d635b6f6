//! Which database a URL leads to.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use outbox_runtime::schema::Dialect;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use url::Url;

use crate::failure::Failure;

/// A database's address. Its `Display` shows neither user nor password.
#[derive(Clone)]
pub(crate) enum Address {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

const FORMS: &str = "write postgres://user:password@host:port/name or sqlite:path";

impl Address {
    /// Reads a database URL. No message holds any of its text but the scheme.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => postgres(text),
            Some("sqlite") => sqlite(text),
            Some(scheme) if is_scheme(scheme) && text.contains("://") => Err(Failure::usage(format!(
                "the scheme `{scheme}` of the database URL is not supported"
            ))
            .advise(FORMS)),
            _ => Err(Failure::usage("the database URL has no scheme").advise(FORMS)),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 16
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn postgres(text: &str) -> Result<Address, Failure> {
    let unreadable = || Failure::usage("the database URL cannot be read");
    let escape = "write special characters in user name and password as %XX: `@` is %40, `/` is %2F, `:` is \
                  %3A, `#` is %23, `?` is %3F";
    let url = Url::parse(text).map_err(|error| unreadable().because(error).advise(escape))?;
    // `user:12#3@host` is a URL: of host `user` and port 12. It would be looked up, and printed.
    let astray = url.fragment().is_some()
        || (url.username().is_empty()
            && (url.path().contains('@') || url.query_pairs().any(|(key, _)| key.contains('@'))));
    if astray {
        return Err(unreadable()
            .because("the host is followed by `#` or `@`")
            .advise(escape));
    }
    let options = PgConnectOptions::from_str(text).map_err(|error| unreadable().because(error))?;
    Ok(Address::Postgres(Box::new(options.application_name("outbox"))))
}

fn sqlite(text: &str) -> Result<Address, Failure> {
    let options = SqliteConnectOptions::from_str(text).map_err(|error| {
        Failure::usage("the database URL cannot be read")
            .because(error)
            .advise(FORMS)
    })?;
    if text.contains(":memory:") || text.contains("mode=memory") || options.get_filename() == Path::new("") {
        return Err(Failure::usage("the database URL names no file")
            .because("an in-memory database is lost when the command ends")
            .advise("write sqlite:path"));
    }
    Ok(Address::Sqlite(Box::new(options)))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(options) => {
                let database = options.get_database().unwrap_or_default();
                match options.get_socket() {
                    Some(socket) => write!(f, "postgres://{}/{database}", socket.display()),
                    None => write!(
                        f,
                        "postgres://{}:{}/{database}",
                        options.get_host(),
                        options.get_port()
                    ),
                }
            }
            Self::Sqlite(options) => write!(f, "sqlite:{}", options.get_filename().display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_credentials() {
        for (url, shown) in [
            (
                "postgres://user:secret@db.example:5433/orders",
                "postgres://db.example:5433/orders",
            ),
            (
                "postgresql://user@db.example:5433/orders?password=secret",
                "postgres://db.example:5433/orders",
            ),
            ("postgres://us%40er:sec%40ret@h:1/d", "postgres://h:1/d"),
            ("sqlite:data/orders.db", "sqlite:data/orders.db"),
            ("sqlite:///var/orders.db", "sqlite:/var/orders.db"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_wrong_usage_and_stays_secret() {
        for url in [
            "postgres://user:s3cr#t@host/db",
            "postgres://user:12#s3cr@host/db",
            "postgres://user:12/s3cr@host/db",
            "postgres://user:12?s3cr@host/db",
            "postgres://user:s3cr/t@host/db",
            "postgres://user:s3cr@ho st/db",
            "mysql://user:s3cr@host/db",
            "user:s3cr@host/db",
            "s3cr",
            "",
            "sqlite::memory:",
            "sqlite:",
            "sqlite:x.db?s3cr=1",
        ] {
            let failure = Address::parse(url).unwrap_err();
            let text = format!("{failure:?}");
            assert!(text.contains("Usage"), "{url}: {text}");
            assert!(
                url.starts_with("sqlite") || !text.contains("s3cr"),
                "{url}: {text}"
            );
        }
    }
}
