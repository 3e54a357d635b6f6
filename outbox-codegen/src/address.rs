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

    /// The same with this password.
    pub(crate) fn with_password(self, password: &str) -> Result<Self, Failure> {
        match self {
            Self::Postgres(options) => Ok(Self::Postgres(Box::new(options.password(password)))),
            Self::Sqlite(_) => Err(Failure::usage("SQLite has no passwords").advise("omit --password-file")),
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

const ESCAPE: &str = "write special characters in user name and password as %XX: `@` is %40, `/` is %2F, `:` is %3A, `#` is \
                      %23, `?` is %3F";

fn postgres(text: &str) -> Result<Address, Failure> {
    let unreadable = || Failure::usage("the database URL cannot be read");
    if has_several_hosts(text) {
        return Err(
            Failure::usage("the database URL names several hosts, and the outbox connects to one").advise(
                "name an address that leads to the primary: that of a proxy, or a name that moves with it",
            ),
        );
    }
    let url = Url::parse(text).map_err(|error| unreadable().because(error).advise(ESCAPE))?;
    // `user:12#3@host` is a URL: of host `user` and port 12. It would be looked up, and printed.
    let astray = url.fragment().is_some()
        || (url.username().is_empty()
            && (url.path().contains('@') || url.query_pairs().any(|(key, _)| key.contains('@'))));
    if astray {
        return Err(unreadable()
            .because("the host is followed by `#` or `@`")
            .advise(ESCAPE));
    }
    check_parameters(&url)?;
    let names_a_host = url.host().is_some() || url.query_pairs().any(|(key, _)| key.starts_with("host"));
    if !names_a_host && std::env::var_os("PGSERVICE").is_some() {
        return Err(
            Failure::usage("PGSERVICE is not supported, and the database URL names no host")
                .advise("write the service's host, port, user and database in the URL"),
        );
    }
    let options = PgConnectOptions::from_str(text).map_err(|error| unreadable().because(error))?;
    Ok(Address::Postgres(Box::new(options.application_name("outbox"))))
}

/// `host1:5432,host2:5433` behind what may be a user and a password.
fn has_several_hosts(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let hosts = rest[..end]
        .rsplit_once('@')
        .map_or(&rest[..end], |(_, hosts)| hosts);
    hosts.contains(',')
}

/// The parameters that sqlx heeds. It passes others over, and says so with their values.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Refuses what would not be heeded, by its name alone.
fn check_parameters(url: &Url) -> Result<(), Failure> {
    let heeded = |key: &str| PARAMETERS.contains(&key) || (key.starts_with("options[") && key.ends_with(']'));
    let refused = |what: String, advice: &str| Err(Failure::usage(what).advise(advice));
    for (key, value) in url.query_pairs() {
        let known = |name: &str| format!("the outbox does not support `{name}` in the database URL");
        match key.as_ref() {
            "sslmode" | "ssl-mode" if value == "allow" => {
                return refused(
                    "`sslmode=allow` never encrypts here".to_owned(),
                    "write `sslmode=prefer`, or `disable` if that is what is meant",
                );
            }
            "host" | "hostaddr" | "port" if value.contains(',') => {
                return refused(
                    "the database URL names several hosts, and the outbox connects to one".to_owned(),
                    "name an address that leads to the primary: that of a proxy, or a name that moves with it",
                );
            }
            key if heeded(key) => {}
            key @ "target_session_attrs" => {
                return refused(
                    known(key),
                    "leave it out: a relay waits while the database takes no writes",
                );
            }
            key @ "service" => {
                return refused(
                    known(key),
                    "write the service's host, port, user and database in the URL",
                );
            }
            key @ "connect_timeout" => {
                return refused(
                    known(key),
                    "leave it out: --connect-timeout says how long a command waits, and a relay waits for ever",
                );
            }
            key @ "channel_binding" => {
                return refused(
                    known(key),
                    "leave it out: `sslmode=verify-full` makes sure that the server is the right one",
                );
            }
            key if is_parameter(key) => return refused(known(key), "leave it out"),
            // It may be a part of a password.
            _ => return refused("a parameter of the database URL is unknown".to_owned(), ESCAPE),
        }
    }
    Ok(())
}

/// Whether this is written as the name of a parameter is.
fn is_parameter(key: &str) -> bool {
    key.len() <= 32 && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
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
    fn what_would_not_be_heeded_is_refused_by_name() {
        for name in [
            "target_session_attrs",
            "service",
            "connect_timeout",
            "channel_binding",
            "keepalives",
        ] {
            let failure =
                Address::parse(&format!("postgres://host/db?sslmode=require&{name}=x")).unwrap_err();
            assert!(format!("{failure:?}").contains(name), "{failure:?}");
        }
        let several = Address::parse("postgres://a:1,b:2/db").unwrap_err();
        assert!(format!("{several:?}").contains("several hosts"), "{several:?}");
        for heeded in [
            "postgres://host/db?sslmode=verify-full&sslrootcert=ca.pem&sslcert=c.pem&sslkey=k.pem",
            "postgres:///db?host=/run/postgresql&port=5433",
            "postgres://%2Frun%2Fpostgresql/db",
            "postgres://host/db?options=-c%20search_path%3Dshop&options[statement_timeout]=5s",
        ] {
            assert!(Address::parse(heeded).is_ok(), "{heeded}");
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
            "postgres://user:s3cr@a:1,b:2/db",
            "postgres://user:s3cr@a,b/db?target_session_attrs=read-write",
            "postgres://user:s3cr@a/db?host=b,c",
            "postgres://user:s3cr@a/db?target_session_attrs=read-write",
            "postgres://user:s3cr@a/db?service=orders",
            "postgres://user:s3cr@a/db?sslmode=allow",
            "postgres://user:s3cr@a/db?S3cr=s3cr",
            "postgres://user:s3cr@a/db?keepalives=s3cr",
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
