//! Kafka Connect with Debezium's outbox router, reading the same table: for whoever outgrows one relay.
//!
//! Nothing here depends on the events. Servers and passwords are left to environment variables, under the names
//! that `psql` and the relay know, so that the files can be committed.

mod connector;
mod setup;
mod worker;

use outbox_runtime::Tables;

use crate::artifact::{Artifact, generated_by};
use crate::config::Payloads;
use crate::failure::Failure;

/// What the files are made from.
#[derive(Debug)]
pub(crate) struct Debezium<'a> {
    tables: &'a Tables,
    /// What connectors, publications and slots are called.
    name: &'a str,
    payloads: Payloads,
    topic_prefix: &'a str,
}

/// One connector: an outbox's payloads of one kind, which one converter can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Binary,
}

/// PostgreSQL cuts names at 63 bytes.
const LONGEST_NAME: usize = 63 - "_binary".len();

impl<'a> Debezium<'a> {
    /// The name becomes part of SQL and of property files, so little is allowed in it.
    pub(crate) fn new(tables: &'a Tables, name: &'a str, payloads: Payloads) -> Result<Self, Failure> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(legal) {
            return Err(
                Failure::usage(format!("`{name}` is not a valid name of a replication slot")).advise(
                    format!("write 1 to {LONGEST_NAME} lower-case letters, digits and underscores"),
                ),
            );
        }
        Ok(Self {
            tables,
            name,
            payloads,
            topic_prefix: "",
        })
    }

    /// Sends records to topics with this prefix.
    pub(crate) fn topic_prefix(self, topic_prefix: &'a str) -> Self {
        Self { topic_prefix, ..self }
    }

    /// All files, in the order in which they are used.
    pub(crate) fn files(&self) -> Vec<Artifact> {
        let file = |name: String, contents: String| Artifact { name, contents };
        let connectors = self.kinds().iter().map(|kind| {
            file(
                format!("{}.properties", kind.word()),
                connector::properties(self, *kind),
            )
        });
        [
            file("setup.sql".to_owned(), setup::sql(self)),
            file("worker.properties".to_owned(), worker::properties(self)),
        ]
        .into_iter()
        .chain(connectors)
        .collect()
    }

    fn kinds(&self) -> &'static [Kind] {
        match self.payloads {
            Payloads::Both => &[Kind::Json, Kind::Binary],
            Payloads::Json => &[Kind::Json],
        }
    }

    /// The name of one kind's connector, publication and slot.
    fn named(&self, kind: Kind) -> String {
        format!("{}_{}", self.name, kind.word())
    }

    /// The first line of each file, behind its comment sign.
    fn generated(&self) -> String {
        let mut command = "outbox generate debezium".to_owned();
        if let Some(schema) = self.tables.schema() {
            command += &format!(" --schema {schema}");
        }
        if self.tables.prefix() != Tables::default().prefix() {
            command += &format!(" --prefix {}", self.tables.prefix());
        }
        command += &format!(" --name {}", self.name);
        if self.payloads == Payloads::Json {
            command += " --payloads json";
        }
        generated_by(&command)
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Binary => "binary",
        }
    }
}
