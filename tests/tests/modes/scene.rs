//! A database, a broker in memory, and outboxes of several replicas.

use std::time::Duration;

use outbox_runtime::modes::{Mode, ModeScope, Modes};
use outbox_runtime::store::{Controls, Decision, SwitchError};
use outbox_runtime::testkit::MemoryBroker;
use outbox_runtime::{
    Error, Isolation, Outbox, OutboxMessage, Payload, PostgresStore, Relay, RelayConfig, RunningRelay,
    Tables, TransactionOptions,
};
use outbox_tests::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool, Postgres};
use uuid::Uuid;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) database: TestDatabase<Postgres>,
    pub(crate) broker: MemoryBroker,
}

pub(crate) fn message(topic: &str, key: &str) -> OutboxMessage {
    OutboxMessage::builder(topic, key)
        .aggregate_type("order")
        .event_type("OrderPlacedV1")
        .payload(Payload::Json("{}".to_owned()))
        .build()
}

pub(crate) fn why() -> Decision {
    Decision::new("ana", "a test")
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self {
            database: TestDatabase::postgres().await,
            broker: MemoryBroker::new(),
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// A replica that follows modes.
    pub(crate) fn outbox(&self) -> Outbox<Postgres> {
        self.outbox_with(|modes| modes)
    }

    pub(crate) fn outbox_with(&self, set: impl FnOnce(Modes) -> Modes) -> Outbox<Postgres> {
        let modes = set(Modes::new(self.broker.publisher()));
        Outbox::builder(self.pool().clone()).modes(modes).build()
    }

    pub(crate) fn controls(&self) -> Controls {
        Controls::in_postgres(self.pool(), &Tables::default())
    }

    pub(crate) async fn set(&self, scope: ModeScope, mode: Option<Mode>) -> Result<bool, SwitchError> {
        self.set_within(scope, mode, LIMIT).await
    }

    pub(crate) async fn set_within(
        &self,
        scope: ModeScope,
        mode: Option<Mode>,
        timeout: Duration,
    ) -> Result<bool, SwitchError> {
        self.controls().set_mode(&scope, mode, &why(), timeout).await
    }

    pub(crate) fn relay(&self) -> RunningRelay {
        let config = RelayConfig::new().persist_interval(Duration::from_millis(20));
        Relay::builder(PostgresStore::new(self.pool()), self.broker.publisher())
            .config(config)
            .build()
            .unwrap()
            .spawn()
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {of}")))
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn rows_of(&self, topic: &str) -> i64 {
        self.count(&format!("outbox_messages WHERE topic = '{topic}'"))
            .await
    }

    /// The ids that the broker has of a topic.
    pub(crate) fn sent_to(&self, topic: &str) -> Vec<Uuid> {
        let log = self.broker.log().into_iter();
        log.filter(|record| record.topic == topic)
            .map(|record| record.id)
            .collect()
    }
}

pub(crate) async fn emit(outbox: &Outbox<Postgres>, messages: &[OutboxMessage]) -> Result<(), Error> {
    outbox
        .transaction(async |tx| {
            for message in messages {
                tx.emit_message(message.clone())?;
            }
            Ok::<_, Error>(())
        })
        .await
}

/// A transaction whose snapshot is older than what `meanwhile` does.
pub(crate) async fn emit_with_an_old_snapshot(
    outbox: &Outbox<Postgres>,
    message: OutboxMessage,
    meanwhile: impl AsyncFn(),
) {
    let options = TransactionOptions::new().isolation(Isolation::RepeatableRead);
    let (message, meanwhile) = (&message, &meanwhile);
    outbox
        .transaction_with(options, async |tx| {
            sqlx::query("SELECT 1 FROM outbox_modes")
                .execute(&mut **tx)
                .await
                .unwrap();
            meanwhile().await;
            tx.emit_message(message.clone())?;
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
}
