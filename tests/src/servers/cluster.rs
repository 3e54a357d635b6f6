//! Three brokers that keep each record three times.

use std::path::Path;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::kafka::{KafkaServer, cluster_id};
use super::port::free_port;

/// How many clusters of a process run at once; the next one waits. Three brokers take a third of a core when nothing is
/// asked of them, so that the five that tests ask for would keep two cores busy with themselves.
static PLACES: Semaphore = Semaphore::const_new(3);

/// A cluster of three brokers, each with its own controller, in which two in-sync replicas make a record durable.
///
/// Beside the plain listener, which its brokers and a test's own clients use, each broker has further ones whose
/// advertised addresses somebody else chose: that is how clients are led through proxies.
#[derive(Debug)]
pub struct KafkaCluster {
    /// The brokers; their ids are 1, 2 and 3, one more than their places here.
    pub brokers: Vec<KafkaServer>,
    // Behind the brokers: fields are dropped in order.
    _place: SemaphorePermit<'static>,
}

/// A further listener of all brokers.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name: upper-case letters and digits.
    pub name: String,
    /// The port that clients shall use for each broker.
    pub advertised: [u16; 3],
}

impl KafkaCluster {
    /// How many brokers there are.
    pub const SIZE: usize = 3;

    /// Starts the brokers with their folders in these, and says for each listener on which ports the brokers
    /// really listen. Waits for as long as there are too many clusters.
    ///
    /// # Panics
    /// If a broker does not start.
    pub async fn start(parents: [&Path; 3], listeners: &[Listener]) -> (Self, Vec<[u16; 3]>) {
        let place = PLACES.acquire().await.expect("nobody closes the semaphore");
        let cluster_id = cluster_id();
        let controllers: [u16; 3] = std::array::from_fn(|_| free_port());
        let ports: Vec<[u16; 3]> = listeners
            .iter()
            .map(|_| std::array::from_fn(|_| free_port()))
            .collect();
        let voters = (1..).zip(controllers);
        let voters: Vec<_> = voters
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let start = |broker: usize| {
            let port = free_port();
            let mut bound = format!(
                "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{}",
                controllers[broker]
            );
            let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
            let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned();
            for (listener, ports) in listeners.iter().zip(&ports) {
                let name = &listener.name;
                bound += &format!(",{name}://127.0.0.1:{}", ports[broker]);
                advertised += &format!(",{name}://127.0.0.1:{}", listener.advertised[broker]);
                protocols += &format!(",{name}:PLAINTEXT");
            }
            let settings = [
                ("node.id", (broker + 1).to_string()),
                ("controller.quorum.voters", voters.join(",")),
                ("listeners", bound),
                ("advertised.listeners", advertised),
                ("listener.security.protocol.map", protocols),
                // As brokers have it that nobody configured.
                ("default.replication.factor", "1".to_owned()),
                ("offsets.topic.replication.factor", "3".to_owned()),
                ("transaction.state.log.replication.factor", "3".to_owned()),
                ("transaction.state.log.min.isr", "2".to_owned()),
                ("min.insync.replicas", "2".to_owned()),
                ("num.network.threads", "1".to_owned()),
                ("replica.lag.time.max.ms", "5000".to_owned()),
                // What was read is not kept for long: a run may last for hours.
                ("log.segment.bytes", (16 << 20).to_string()),
                ("log.retention.bytes", (64 << 20).to_string()),
            ];
            let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
            KafkaServer::start_node(parents[broker], &cluster_id, settings, port, controllers[broker])
        };
        let brokers = join_all((0..Self::SIZE).map(start)).await;
        let cluster = Self {
            brokers,
            _place: place,
        };
        (cluster, ports)
    }

    /// The plain addresses of all brokers, for `bootstrap.servers`.
    pub fn addresses(&self) -> String {
        let addresses: Vec<_> = self.brokers.iter().map(KafkaServer::brokers).collect();
        addresses.join(",")
    }

    /// Starts those that do not run, all at once: two of three are needed to get going at all.
    pub async fn restart_missing(&mut self) {
        let start = async |broker: &mut KafkaServer| {
            if !broker.runs() {
                broker.restart().await;
            }
        };
        join_all(self.brokers.iter_mut().map(start)).await;
    }
}
