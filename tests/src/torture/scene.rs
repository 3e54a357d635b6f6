//! Everything that takes part: servers, proxies, relays, topics, the watcher.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use outbox_runtime::Tables;
use outbox_runtime::schema::migrate_as;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::pruning::Pruning;
use super::relays::{Address, Relay, SLOTS};
use super::watcher::Watcher;
use super::{Plan, Report, secrets};
use crate::kafka::Topic;
use crate::proxy::{Proxy, ReservedProxy};
use crate::servers::{BoundedDisk, KafkaCluster, Listener, PostgresServer, PostgresVersion};
use crate::wait_until;

/// Partitions of each topic.
pub(super) const PARTITIONS: i32 = 3;

/// How long what was sent may take to be read.
const TO_BE_READ: Duration = Duration::from_millis(500);

/// Maximum time for a dead-lettered or parked record to be delivered.
const FOR_DEAD_LETTERS: Duration = Duration::from_secs(60);

/// How long the cluster may take to make a topic, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) const TOPICS: [&str; 3] = ["orders", "payments", "parcels"];

/// A topic that no watcher reads, for rows that nothing but their number matters of.
pub(super) const UNWATCHED: &str = "others";

/// The parts are dropped in this order: clients before servers, and servers before their disks.
pub(super) struct Scene {
    pub(super) relays: Vec<Relay>,
    pub(super) watcher: Watcher,
    /// The harness's own connections, which no fault falls on but those of the server itself.
    pub(super) pool: PgPool,
    /// The writers' connections, through their proxy.
    pub(super) writers_pool: PgPool,
    pub(super) topics: Vec<Topic>,
    pub(super) paths: Paths,
    pub(super) postgres: PostgresServer,
    pub(super) cluster: KafkaCluster,
    pub(super) disks: Option<Disks>,
    folder: PathBuf,
}

/// A proxy for each way that connections take.
pub(super) struct Paths {
    /// By relay and broker.
    pub(super) brokers: Vec<Vec<Proxy>>,
    /// By relay.
    pub(super) postgres: Vec<Proxy>,
    pub(super) writers: Proxy,
}

/// The ways to the brokers, before it is known where they lead: for each relay, one to each broker.
struct ReservedPaths(Vec<[ReservedProxy; 3]>);

impl ReservedPaths {
    async fn reserve() -> Self {
        let mut reserved = Vec::new();
        for _ in 0..SLOTS {
            reserved.push([
                Proxy::reserve().await,
                Proxy::reserve().await,
                Proxy::reserve().await,
            ]);
        }
        Self(reserved)
    }

    /// What the brokers advertise.
    fn listeners(&self) -> Vec<Listener> {
        let named = self.0.iter().enumerate();
        named
            .map(|(slot, proxies)| Listener {
                name: format!("RELAY{slot}"),
                advertised: [0, 1, 2].map(|broker: usize| proxies[broker].port()),
            })
            .collect()
    }

    async fn forward(self, brokers: Vec<[u16; 3]>, postgres: u16) -> Paths {
        let ways = self.0.into_iter().zip(brokers).map(|(proxies, ports)| {
            let started = proxies.into_iter().zip(ports);
            started
                .map(|(proxy, port)| ReservedProxy::forward(proxy, port))
                .collect()
        });
        let mut paths = Paths {
            brokers: ways.collect(),
            postgres: Vec::new(),
            writers: Proxy::to(postgres).await,
        };
        for _ in 0..SLOTS {
            paths.postgres.push(Proxy::to(postgres).await);
        }
        paths
    }
}

/// The database, on a way to it.
fn database_url(proxy: &Proxy) -> String {
    format!(
        "postgres://postgres:{}@127.0.0.1:{}/postgres",
        secrets::PASSWORD,
        proxy.port()
    )
}

/// Creates all topics, and returns those that are watched.
async fn create_topics(brokers: &str) -> Vec<Topic> {
    let mut topics = Vec::new();
    for name in TOPICS.into_iter().chain([UNWATCHED]) {
        let topic = Topic::named(brokers, name, PARTITIONS).replicated(3);
        wait_until("a topic to be made", PATIENCE, async || {
            topic.try_create().await.ok()
        })
        .await;
        topic.usable().await;
        if name != UNWATCHED {
            topics.push(topic);
        }
    }
    topics
}

/// Disks that can be full: PostgreSQL's, and that of the first broker.
pub(super) struct Disks {
    pub(super) postgres: BoundedDisk,
    pub(super) broker: BoundedDisk,
}

impl Disks {
    /// None where this process may not mount any.
    fn mount() -> Option<Self> {
        let disks = BoundedDisk::mount().zip(BoundedDisk::mount());
        disks.map(|(postgres, broker)| Self { postgres, broker })
    }
}

async fn start_servers(disks: Option<&Disks>) -> (PostgresServer, KafkaCluster, Paths) {
    let plain = std::env::temp_dir();
    let postgres_parent = disks.map_or(plain.as_path(), |disks| disks.postgres.path());
    let broker_parent = disks.map_or(plain.as_path(), |disks| disks.broker.path());
    let reserved = ReservedPaths::reserve().await;
    let listeners = reserved.listeners();
    let settings = [
        ("max_prepared_transactions", "50"),
        ("max_connections", "100"),
        ("max_wal_size", "256MB"),
    ];
    let parents = [broker_parent, &plain, &plain];
    let (postgres, (cluster, ports)) = tokio::join!(
        PostgresServer::start_within(postgres_parent, PostgresVersion::Distribution.bin(), &settings),
        KafkaCluster::start(parents, &listeners)
    );
    let paths = reserved.forward(ports, postgres.port()).await;
    (postgres, cluster, paths)
}

/// The relay of a slot, which reaches the servers by its own paths.
fn relay(slot: usize, plan: &Plan, paths: &Paths, pruning: &Pruning) -> Relay {
    let brokers = paths.brokers[slot].iter();
    let brokers: Vec<_> = brokers
        .map(|proxy| format!("127.0.0.1:{}", proxy.port()))
        .collect();
    let address = Address {
        database_url: database_url(&paths.postgres[slot]),
        brokers: brokers.join(","),
        delivery: match plan.exactly_once {
            true => "exactly-once",
            false => "at-least-once",
        },
        retention: pruning.arguments(),
    };
    Relay::new(slot, address, &plan.folder)
}

impl Scene {
    pub(super) async fn set_up(plan: &Plan) -> Self {
        let disks = Disks::mount();
        let (postgres, cluster, paths) = start_servers(disks.as_ref()).await;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10));
        let pool = pool.connect(&postgres.url()).await.expect("PostgreSQL answers");
        let pruning = Pruning::of(plan);
        migrate_as(pruning.layout(), &pool, &Tables::default())
            .await
            .expect("the tables can be made");
        let writers_pool = PgPoolOptions::new()
            .connect_lazy(&database_url(&paths.writers))
            .expect("a URL of our own making");
        let topics = create_topics(&cluster.addresses()).await;
        Self {
            relays: (0..SLOTS)
                .map(|slot| relay(slot, plan, &paths, &pruning))
                .collect(),
            watcher: Watcher::start(&cluster.addresses(), &topics),
            pool,
            writers_pool,
            topics,
            paths,
            postgres,
            cluster,
            disks,
            folder: plan.folder.clone(),
        }
    }

    /// Nothing of what went wrong is a record's own fault.
    ///
    /// # Errors
    /// Something was dead-lettered or parked and was not delivered.
    pub(super) async fn dead_letters_are_empty(&self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let count = "SELECT count(*) FROM outbox_dead_letters";
            let count = sqlx::query_scalar::<_, i64>(count).fetch_one(&self.pool).await;
            if count.as_ref().is_ok_and(|count| *count == 0) {
                return Ok(());
            }
            if started.elapsed() > FOR_DEAD_LETTERS {
                return Err(format!("good events are in the dead letters: {count:?}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything up to a message was sent: the cursor is past it, and none of it is parked. What was sent is
    /// read soon then.
    pub(super) async fn passes(&self, seq: i64) -> Result<(), String> {
        let has_passed = "SELECT high >= $1 AND NOT EXISTS (
            SELECT FROM outbox_dead_letters WHERE state = 'parked' AND seq <= $1 AND topic <> $2) FROM outbox_cursor";
        let started = Instant::now();
        loop {
            let asked = sqlx::query_scalar::<_, bool>(has_passed)
                .bind(seq)
                .bind(UNWATCHED);
            if asked.fetch_one(&self.pool).await.unwrap_or(false) {
                tokio::time::sleep(TO_BE_READ).await;
                return Ok(());
            }
            if started.elapsed() > FOR_DEAD_LETTERS {
                return Err(format!(
                    "the relays do not get past the message {seq} after a rewind"
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Removes messages that the cursor is past, so that a long run's table stays small.
    pub(super) async fn prune(&self) -> sqlx::Result<()> {
        let prune = "DELETE FROM outbox_messages AS message USING outbox_cursor AS cursor \
                     WHERE message.seq <= cursor.high AND pg_visible_in_snapshot(message.xid, cursor.from_snapshot)";
        sqlx::query(prune).execute(&self.pool).await.map(drop)
    }

    /// Stops the relays in order; when something failed, the servers' logs are kept too.
    pub(super) async fn take_down(mut self, report: &mut Report) {
        for relay in &mut self.relays {
            relay.thaw();
            if let Err(wrong) = relay.stop().await {
                report.failures.push(wrong);
            }
        }
        report.pruned = Pruning::reported(&self.folder, SLOTS);
        if report.failures.is_empty() {
            return;
        }
        let brokers = self.cluster.brokers.iter().map(|broker| broker.folder());
        for (number, folder) in brokers.chain([self.postgres.folder()]).enumerate() {
            let name = match number {
                KafkaCluster::SIZE => "postgres.log".to_owned(),
                broker => format!("broker-{}.log", broker + 1),
            };
            if let Err(error) = fs::copy(folder.join("server.log"), self.folder.join(&name)) {
                eprintln!("{name} could not be kept: {error}");
            }
        }
    }
}
