//! Faults are made, and unmade.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::fault::{Fault, Path, What};
use super::kind::Kind;
use super::operators::Done;
use super::relays::Relay;
use super::scene::{Scene, UNWATCHED};
use super::verdict::Deletion;
use crate::kafka::Topic;
use crate::proxy::{Mode, Proxy};
use crate::wait_until;
use crate::writers::RunningWriters;

/// How long an armed relay may take to get to its place.
const TO_A_PLACE: Duration = Duration::from_secs(12);

/// Where relays keep their cursor in exactly-once delivery.
const CURSORS: &str = "outbox-cursors";

/// How long the cluster may take for an administrative request.
const PATIENCE: Duration = Duration::from_secs(90);

/// A fault that is there.
pub(super) struct Active {
    fault: Fault,
    /// A connection that holds a lock.
    lock: Option<PgConnection>,
    /// Relays that have to be started again.
    stopped: Vec<usize>,
    /// A topic was deleted.
    pub(super) deletion: Option<Deletion>,
    /// What an operator did.
    pub(super) done: Option<Done>,
    /// Whether the fault came to pass at all.
    pub(super) happened: bool,
}

impl Scene {
    /// Makes a fault.
    ///
    /// # Errors
    /// A relay did not do what it was asked to.
    pub(super) async fn begin(
        &mut self,
        fault: Fault,
        writers: &RunningWriters,
        relays: usize,
    ) -> Result<Active, String> {
        let mut active = Active {
            fault: fault.clone(),
            lock: None,
            stopped: Vec::new(),
            deletion: None,
            done: None,
            happened: true,
        };
        match (fault.kind, fault.what) {
            (Kind::RelayKilled, What::Relay(slot)) => self.relays[slot].kill(),
            (Kind::RelayPaused, What::Relay(slot)) => self.relays[slot].freeze(),
            (Kind::RelaysKilledForLong, What::AllRelays(transactions)) => {
                self.relays[..relays].iter_mut().for_each(Relay::kill);
                active.stopped = (0..relays).collect();
                active.happened = self.write_beside_nobody(transactions).await.is_ok();
            }
            (Kind::RelaysStoppedForLong, What::AllRelays(transactions)) => {
                for relay in &mut self.relays[..relays] {
                    relay.stop().await?;
                }
                active.stopped = (0..relays).collect();
                active.happened = self.write_beside_nobody(transactions).await.is_ok();
            }
            (_, What::Place(slot, place, visit)) => {
                active.happened = self
                    .bring_to_place(fault.kind, slot, place, visit, relays)
                    .await?;
            }
            (Kind::LeaderKilled, What::Topic(topic, partition)) => {
                let leader = self.topics[topic].leader(partition).await;
                let broker = leader.map_or(0, |id| id as usize - 1);
                self.cluster.brokers[broker].kill();
            }
            (Kind::CursorLeaderKilled, _) => active.happened = self.kill_leader_of_cursors().await,
            (Kind::TooFewInSync, What::Topic(topic, partition)) => {
                active.happened = self.ask_for_more_replicas(topic, partition).await;
            }
            (Kind::TopicRecreated, What::Topic(topic, _)) => {
                active.deletion = Some(self.recreate(topic, writers).await);
            }
            (Kind::BrokerPaused, What::Broker(broker)) => self.cluster.brokers[broker].freeze(),
            (Kind::AllBrokersKilled, _) => self.cluster.brokers.iter_mut().for_each(|broker| broker.kill()),
            (Kind::BrokerDiskFull, _) => self.disks.iter().for_each(|disks| disks.broker.fill()),
            (Kind::PostgresDiskFull, _) => self.disks.iter().for_each(|disks| disks.postgres.fill()),
            (Kind::PostgresKilled, _) => self.postgres.kill(),
            (Kind::PostgresPaused, _) => self.postgres.freeze(),
            (Kind::ConnectionsTerminated, _) => {
                active.happened = self.postgres.terminate_connections().await > 0
            }
            (Kind::StatementsCancelled, _) => active.lock = self.lock_cursor().await,
            (_, What::Path(path, mode)) => self.on_path(path, |proxy| proxy.set(mode)),
            (Kind::SequenceReset, What::Sequence(last)) => active.happened = self.reset_sequence(last).await,
            (Kind::RelayUpgraded, What::Relay(slot)) => self.relays[slot].stop().await?,
            (_, What::Operation(operation)) => {
                active.done = self.operate(&operation).await;
                active.happened = active.done.is_some();
            }
            (kind, what) => unreachable!("{kind} does not fall on {what:?}"),
        }
        Ok(active)
    }

    /// Unmakes it.
    ///
    /// # Errors
    /// A relay did not do what it was asked to.
    pub(super) async fn end(&mut self, active: Active, notify: bool) -> Result<(), String> {
        let Active {
            fault,
            lock,
            stopped,
            happened,
            ..
        } = active;
        match (fault.kind, fault.what) {
            (Kind::RelayKilled, What::Relay(slot)) => self.relays[slot].start(None),
            (Kind::RelayKilledAtPlace, What::Place(slot, ..)) => {
                self.relays[slot].kill();
                self.relays[slot].start(None);
            }
            (Kind::RelayPaused, What::Relay(slot)) => self.relays[slot].thaw(),
            (_, What::AllRelays(_)) => stopped.into_iter().for_each(|slot| self.relays[slot].start(None)),
            (Kind::RelayPausedAtPlace, What::Place(slot, place, _)) => {
                self.relays[slot].thaw();
                // It is on its way out, or would stand still one day.
                if place == "lease_released" || !happened {
                    self.relays[slot].stop().await?;
                    self.relays[slot].start(None);
                }
            }
            (Kind::RelayUpgraded, What::Relay(slot)) => self.relays[slot].start(None),
            (Kind::LeaderKilled | Kind::CursorLeaderKilled, _) => self.cluster.restart_missing().await,
            (Kind::TooFewInSync, What::Topic(topic, _)) => {
                self.cluster.restart_missing().await;
                self.ask_for_fewer_replicas(topic).await;
            }
            (Kind::BrokerPaused, What::Broker(broker)) => self.cluster.brokers[broker].thaw(),
            (Kind::AllBrokersKilled, _) => self.cluster.restart_missing().await,
            (Kind::BrokerDiskFull, _) => {
                self.disks.iter().for_each(|disks| disks.broker.free());
                self.cluster.restart_missing().await;
            }
            (Kind::PostgresDiskFull, _) => {
                self.disks.iter().for_each(|disks| disks.postgres.free());
                if !self.postgres.runs() {
                    self.postgres.restart().await;
                }
            }
            (Kind::PostgresKilled, _) => self.postgres.restart().await,
            (Kind::PostgresPaused, _) => self.postgres.thaw(),
            (Kind::StatementsCancelled, _) => self.cancel_statements(lock).await,
            (_, What::Operation(operation)) => self.end_operation(&operation).await,
            (_, What::Path(path, mode)) => self.heal(path, mode, notify).await,
            (Kind::TopicRecreated | Kind::ConnectionsTerminated | Kind::SequenceReset, _) => {}
            (kind, what) => unreachable!("{kind} does not fall on {what:?}"),
        }
        Ok(())
    }

    /// Returns whether there was one: at least once there is none, and after all brokers were away there may be none for a
    /// short time.
    async fn kill_leader_of_cursors(&mut self) -> bool {
        let cursors = Topic::named(&self.cluster.addresses(), CURSORS, 1);
        let leader = cursors.leader(0).await;
        if let Some(id) = leader {
            self.cluster.brokers[id as usize - 1].kill();
        }
        leader.is_some()
    }

    /// A topic asks for as many replicas as there are brokers, and loses one.
    async fn ask_for_more_replicas(&mut self, topic: usize, partition: i32) -> bool {
        let altered = self.topics[topic].try_alter("min.insync.replicas", "3").await;
        let leader = self.topics[topic].leader(partition).await;
        // Not the leader, which alone would be waited for.
        let broker = leader.map_or(0, |id| id as usize % 3);
        self.cluster.brokers[broker].kill();
        altered.is_ok()
    }

    async fn ask_for_fewer_replicas(&self, topic: usize) {
        let what = "a topic to be content with fewer replicas";
        let altered = async || {
            let altered = self.topics[topic].try_alter("min.insync.replicas", "2").await;
            altered.ok()
        };
        wait_until(what, PATIENCE, altered).await;
    }

    async fn heal(&self, path: Path, mode: Mode, notify: bool) {
        // Writers have no deadlines of their own: they would wait forever.
        if mode == Mode::HalfOpen && (notify || path == Path::WritersToPostgres) {
            self.on_path(path, |proxy| proxy.set(Mode::Cut));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.on_path(path, Proxy::heal);
    }

    /// Transactions of one row each, to a topic that is not watched.
    async fn write_beside_nobody(&self, transactions: u32) -> sqlx::Result<()> {
        let mut connection = self.pool.acquire().await?;
        let quickly = |how: &str| AssertSqlSafe(format!("SET synchronous_commit = {how}"));
        sqlx::query(quickly("off")).execute(&mut *connection).await?;
        let write = AssertSqlSafe(format!(
            "DO $$ BEGIN FOR i IN 1..{transactions} LOOP
               INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
               VALUES ('other', 'k' || i % 100, 'OtherV1', '{UNWATCHED}', '{{}}');
               COMMIT;
             END LOOP; END $$"
        ));
        sqlx::raw_sql(write).execute(&mut *connection).await?;
        sqlx::query(quickly("DEFAULT")).execute(&mut *connection).await?;
        Ok(())
    }

    fn on_path(&self, path: Path, change: impl Fn(&Proxy)) {
        match path {
            Path::RelayToBroker(slot, broker) => change(&self.paths.brokers[slot][broker]),
            Path::RelayToAllBrokers(slot) => self.paths.brokers[slot].iter().for_each(change),
            Path::RelayToPostgres(slot) => change(&self.paths.postgres[slot]),
            Path::WritersToPostgres => change(&self.paths.writers),
        }
    }

    /// Makes an armed relay the active one, and waits until it has come to its place. A relay that has to give
    /// its lease back is asked to stop.
    async fn bring_to_place(
        &mut self,
        kind: Kind,
        slot: usize,
        place: &str,
        visit: u32,
        relays: usize,
    ) -> Result<bool, String> {
        for relay in &mut self.relays {
            relay.stop().await?;
        }
        let action = if kind == Kind::RelayKilledAtPlace {
            "kill"
        } else {
            "stop"
        };
        self.relays[slot].start(Some(&format!("{place}={action}:{visit}")));
        let started = tokio::time::Instant::now();
        let mut others_run = false;
        loop {
            let relay = &mut self.relays[slot];
            if relay.ended().is_some() || relay.is_frozen() {
                break;
            }
            if !others_run && started.elapsed() > Duration::from_millis(1000) {
                others_run = true;
                (0..relays)
                    .filter(|other| *other != slot)
                    .for_each(|other| self.relays[other].start(None));
                if place == "lease_released" {
                    self.relays[slot].ask_to_stop().await;
                }
            }
            if started.elapsed() > TO_A_PLACE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let happened = self.relays[slot].ended().is_some() || self.relays[slot].is_frozen();
        if !others_run {
            (0..relays)
                .filter(|other| *other != slot)
                .for_each(|other| self.relays[other].start(None));
        }
        Ok(happened)
    }

    /// Deletes a topic, and makes it again. What was written to it up to then may have been acknowledged and
    /// deleted before anybody could read it.
    async fn recreate(&mut self, number: usize, writers: &RunningWriters) -> Deletion {
        let topic = self.topics[number].clone();
        self.watcher.close(number);
        wait_until("a topic to be deleted", PATIENCE, async || {
            topic.try_delete().await.ok()
        })
        .await;
        let time = writers.now();
        wait_until("a topic to be made again", PATIENCE, async || {
            topic.try_create().await.ok()
        })
        .await;
        topic.usable().await;
        self.watcher.open(number, &topic);
        Deletion {
            topic: topic.name().to_owned(),
            time,
        }
    }

    /// Statements that write the cursor or the lease wait from now on.
    async fn lock_cursor(&self) -> Option<PgConnection> {
        let options: PgConnectOptions = self.postgres.url().parse().ok()?;
        let mut connection = options.connect().await.ok()?;
        let lock = "BEGIN; SET LOCAL lock_timeout = '2s'; \
                    LOCK TABLE outbox_cursor, outbox_lease IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.ok()?;
        Some(connection)
    }

    /// Ends the relays' statements as a timeout does, with the same SQLSTATE, and then the lock.
    async fn cancel_statements(&self, lock: Option<PgConnection>) {
        let Some(mut connection) = lock else { return };
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                      WHERE application_name = 'outbox-relay' AND state = 'active'";
        // The lock goes with its connection, whatever becomes of the statement.
        let _ = sqlx::query(cancel).execute(&mut connection).await;
        let _ = connection.close().await;
    }
}
