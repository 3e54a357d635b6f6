//! Servers in containers, through Docker.

use std::ffi::OsStr;
use std::fmt::Display;
use std::sync::LazyLock;

use testcontainers_modules::testcontainers::core::ContainerPort;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerRequest, Image, TestcontainersError};
use tokio::runtime::Runtime;

use super::local::{LocalServer, User};

/// Removes the container $1 at the end of the standard input, which is the end of this process.
const REMOVE: &str = "echo ready; exec >/dev/null; read -r _; docker rm --force --volumes \"$1\"";

/// Where a server in a container takes connections.
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A new PostgreSQL server. User, password and database are `postgres`.
#[cfg(feature = "postgres")]
pub(super) fn postgres() -> Result<Address, String> {
    use testcontainers_modules::testcontainers::ImageExt;

    let settings = ["fsync=off", "full_page_writes=off", "max_connections=400"];
    let image = testcontainers_modules::postgres::Postgres::default()
        .with_tag("17-alpine")
        .with_cmd(settings.iter().flat_map(|setting| ["-c", setting]));
    started("PostgreSQL", image, ContainerPort::Tcp(5432))
}

/// A new Kafka broker.
#[cfg(feature = "kafka")]
pub(super) fn kafka() -> Result<Address, String> {
    use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};

    started("Kafka", Kafka::default().into(), KAFKA_PORT)
}

fn started<I: Image>(name: &str, image: ContainerRequest<I>, port: ContainerPort) -> Result<Address, String> {
    // Clients of Docker use it as long as their containers are there.
    static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.worker_threads(1).enable_all().build()
    });
    let failed = |error: &dyn Display| format!("{name} does not start in a container: {error}");
    let runtime = RUNTIME.as_ref().map_err(|error| failed(error))?;
    let started: Result<_, TestcontainersError> = runtime.block_on(async {
        let container = image.start().await?;
        let (host, port) = (
            container.get_host().await?,
            container.get_host_port_ipv4(port).await?,
        );
        let host = host.to_string();
        Ok((container, Address { host, port }))
    });
    let (container, address) = started.map_err(|error| failed(&error))?;
    LocalServer::start(REMOVE, &[OsStr::new(container.id())], User::Own)
        .map_err(|said| failed(&said))?
        .keep();
    // Dropped, it would be removed now.
    std::mem::forget(container);
    Ok(address)
}
