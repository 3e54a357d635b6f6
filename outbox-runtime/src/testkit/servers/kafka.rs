//! The Kafka brokers of tests that ask for real ones.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::local::{LocalServer, User};
use super::{Found, found, on_path, variable};

/// The folder of Apache Kafka, with the jars in `libs`; empty for none.
const HOME: &str = "KAFKA_HOME";
/// How long a start may take, on a machine that is busy compiling.
const START: Duration = Duration::from_secs(120);

const WAYS: &str = "a test on real Kafka brokers needs them, by one of these ways:\n\
     - set KAFKA_BROKERS, such as localhost:9092\n\
     - install Java, and name the folder of Apache Kafka in KAFKA_HOME: tests start a broker of their own\n\
     - enable the feature `testcontainers` of outbox-runtime and start Docker\n\
     or test with `TestBroker::kafka()`, which needs no server";

/// The brokers of `KAFKA_BROKERS`.
pub(in crate::testkit) fn given_brokers() -> Option<String> {
    variable("KAFKA_BROKERS")
}

/// Real brokers: `host:port`, separated by commas.
///
/// # Panics
/// There are none. The report names the ways to some.
pub(in crate::testkit) async fn brokers() -> String {
    static BROKERS: Found<String> = Found::new();
    found(&BROKERS, find).await
}

fn find() -> Result<String, String> {
    match (given_brokers(), home()) {
        (Some(brokers), _) => Ok(brokers),
        (None, Some(home)) => local(&home),
        (None, None) => container(),
    }
}

fn local(home: &Path) -> Result<String, String> {
    let ports = free_ports().map_err(|error| format!("there is no free port: {error}"))?;
    let [port, controller] = ports.map(|port| port.to_string());
    let arguments = [home.as_os_str(), port.as_ref(), controller.as_ref()];
    let failed = |said: String| format!("Kafka does not start from {}:\n{said}", home.display());
    let server = LocalServer::start(include_str!("kafka.sh"), &arguments, User::Own).map_err(failed)?;
    match answers(&server.address) {
        true => Ok(server.keep()),
        false => Err(failed(server.end())),
    }
}

/// Two ports that nobody listens on now.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let (one, other) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// Whether the broker takes requests, now or soon: librdkafka connects until it does.
fn answers(brokers: &str) -> bool {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    let client: Result<BaseConsumer, _> = config.create();
    client.is_ok_and(|client| client.fetch_metadata(None, START).is_ok())
}

#[cfg(feature = "testcontainers")]
fn container() -> Result<String, String> {
    let address = super::containers::kafka().map_err(|why| format!("{why}\n{WAYS}"))?;
    Ok(format!("{}:{}", address.host, address.port))
}

#[cfg(not(feature = "testcontainers"))]
fn container() -> Result<String, String> {
    Err(WAYS.to_owned())
}

/// The folder of Apache Kafka: the one that is named, else that of the path's `kafka-server-start.sh`.
fn home() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(HOME) {
        return (!folder.is_empty()).then(|| folder.into());
    }
    let home = on_path("kafka-server-start.sh")?.parent()?.parent()?.to_owned();
    home.join("libs").is_dir().then_some(home)
}
