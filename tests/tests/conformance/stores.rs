//! Stores.

use outbox_runtime::testkit::{NewMessage, StoreHarness, store_suite};
use outbox_runtime::{PostgresStore, SqliteStore, Tables};
use outbox_tests::TestDatabase;
use outbox_tests::servers::PostgresVersion;
use sqlx::{AssertSqlSafe, Postgres, Sqlite};

struct OnPostgres(TestDatabase<Postgres>);

impl OnPostgres {
    async fn insert(&self, messages: &[NewMessage]) -> sqlx::Transaction<'static, Postgres> {
        let mut transaction = self.0.pool.begin().await.expect("a transaction begins");
        for message in messages {
            let insert = format!(
                "INSERT INTO {} (id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary,
                                 source, headers, occurred_at)
                 VALUES ($1, 'suite', $2, 'SuiteEventV1', $3, $4::json, $5, $6, $7::jsonb,
                         timestamptz 'epoch' + $8 * interval '1 millisecond')",
                Tables::default().messages()
            );
            sqlx::query(AssertSqlSafe(insert))
                .bind(message.id)
                .bind(&message.key)
                .bind(&message.topic)
                .bind(&message.payload)
                .bind(&message.payload_binary)
                .bind(&message.source)
                .bind(&message.headers)
                .bind(message.occurred_at_ms)
                .execute(&mut *transaction)
                .await
                .expect("a message is inserted");
        }
        transaction
    }
}

impl StoreHarness for OnPostgres {
    type Store = PostgresStore;

    fn store(&self) -> PostgresStore {
        PostgresStore::new(&self.0.pool)
    }

    async fn commit(&self, messages: &[NewMessage]) {
        self.insert(messages)
            .await
            .commit()
            .await
            .expect("the transaction commits");
    }

    async fn roll_back(&self, messages: &[NewMessage]) {
        self.insert(messages)
            .await
            .rollback()
            .await
            .expect("the transaction rolls back");
    }
}

struct OnSqlite(TestDatabase<Sqlite>);

impl OnSqlite {
    async fn insert(&self, messages: &[NewMessage]) -> sqlx::Transaction<'static, Sqlite> {
        let mut transaction = self
            .0
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("a transaction begins");
        for message in messages {
            let insert = format!(
                "INSERT INTO {} (id, aggregate_type, aggregate_id, event_type, topic, payload, payload_binary,
                                 source, headers, occurred_at)
                 VALUES ($1, 'suite', $2, 'SuiteEventV1', $3, $4, $5, $6, $7,
                         strftime('%Y-%m-%dT%H:%M:%fZ', $8 / 1000.0, 'unixepoch'))",
                Tables::default().messages()
            );
            sqlx::query(AssertSqlSafe(insert))
                .bind(message.id.to_string())
                .bind(&message.key)
                .bind(&message.topic)
                .bind(&message.payload)
                .bind(&message.payload_binary)
                .bind(&message.source)
                .bind(&message.headers)
                .bind(message.occurred_at_ms)
                .execute(&mut *transaction)
                .await
                .expect("a message is inserted");
        }
        transaction
    }
}

impl StoreHarness for OnSqlite {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        SqliteStore::new(&self.0.pool)
    }

    async fn commit(&self, messages: &[NewMessage]) {
        self.insert(messages)
            .await
            .commit()
            .await
            .expect("the transaction commits");
    }

    async fn roll_back(&self, messages: &[NewMessage]) {
        self.insert(messages)
            .await
            .rollback()
            .await
            .expect("the transaction rolls back");
    }
}

#[tokio::test]
async fn sqlite() {
    store_suite(async || OnSqlite(TestDatabase::sqlite().await)).await;
}

/// One connection is enough: the store never holds one while it waits for another.
#[tokio::test]
async fn sqlite_with_a_pool_of_one() {
    store_suite(async || OnSqlite(TestDatabase::sqlite_with(1).await)).await;
}

#[tokio::test]
async fn postgres_of_the_distribution() {
    store_suite(async || OnPostgres(TestDatabase::postgres().await)).await;
}

#[tokio::test]
async fn postgres_13() {
    store_suite(async || OnPostgres(TestDatabase::postgres_at(PostgresVersion::V13).await)).await;
}

/// A partition is filled several times.
#[tokio::test]
async fn postgres_in_partitions() {
    for version in PostgresVersion::ALL {
        store_suite(async || OnPostgres(TestDatabase::partitioned_at(version, 300).await)).await;
    }
}

#[tokio::test]
async fn postgres_18() {
    store_suite(async || OnPostgres(TestDatabase::postgres_at(PostgresVersion::V18).await)).await;
}
