//! How tests learn where the servers and their programs are: environment variables, set by `./tests/run`.

use std::env;
use std::path::PathBuf;

/// The variables' names: what the test script hands down and what tests read.
pub mod variables {
    /// A database that every test may use, by making databases of its own in it.
    pub const DATABASE_URL: &str = "DATABASE_URL";
    /// A broker that every test may use, by making topics of its own.
    pub const KAFKA_BROKERS: &str = "KAFKA_BROKERS";
    /// The folder of Apache Kafka's jars.
    pub const KAFKA_LIBS: &str = "OUTBOX_TEST_KAFKA_LIBS";
    /// The folder of Kafka Connect's and Debezium's jars.
    pub const CONNECT_LIBS: &str = "OUTBOX_TEST_CONNECT_LIBS";
    /// The folder of what the script fetched; the PostgreSQL versions are in it as archives.
    pub const CACHE: &str = "OUTBOX_TEST_CACHE";
}

/// The PostgreSQL versions that tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresVersion {
    /// The one that the distribution has.
    Distribution,
    /// The oldest supported.
    V13,
    /// The newest supported.
    V18,
}

impl PostgresVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Distribution, Self::V13, Self::V18];

    /// The variable with the folder of this version's programs.
    pub fn bin_variable(self) -> &'static str {
        match self {
            Self::Distribution => "OUTBOX_TEST_POSTGRES_BIN",
            Self::V13 => "OUTBOX_TEST_POSTGRES_13_BIN",
            Self::V18 => "OUTBOX_TEST_POSTGRES_18_BIN",
        }
    }

    /// The variable with the URL of a running server of this version that all tests share.
    pub fn url_variable(self) -> &'static str {
        match self {
            Self::Distribution => variables::DATABASE_URL,
            Self::V13 => "OUTBOX_TEST_POSTGRES_13_URL",
            Self::V18 => "OUTBOX_TEST_POSTGRES_18_URL",
        }
    }

    /// The URL of a running server of this version that all tests share.
    pub fn url(self) -> String {
        required(self.url_variable())
    }

    /// The folder of this version's programs.
    pub fn bin(self) -> PathBuf {
        required(self.bin_variable()).into()
    }
}

/// The database server that all tests share; tests make databases of their own in it.
pub fn database_url() -> String {
    required(variables::DATABASE_URL)
}

/// The broker that all tests share; tests make topics of their own in it.
pub fn brokers() -> String {
    required(variables::KAFKA_BROKERS)
}

pub(crate) fn kafka_libs() -> PathBuf {
    required(variables::KAFKA_LIBS).into()
}

pub(crate) fn connect_libs() -> PathBuf {
    required(variables::CONNECT_LIBS).into()
}

fn required(variable: &str) -> String {
    match env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{variable} is not set: run the tests through ./tests/run"),
    }
}
