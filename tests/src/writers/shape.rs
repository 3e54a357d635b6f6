//! What transactions look like.

use std::sync::Arc;

use outbox_runtime::{Outbox, Tables};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sqlx::{PgPool, Postgres};

use super::event::Event;
use super::ledger::OpenLedger;
use super::progress::Progress;
use super::sql::Statement;
use super::transaction::RawTransaction;

/// One way to write events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A few events, committed.
    Plain,
    /// Takes its transaction id before others and writes after their commits.
    IdFirst,
    /// Writes, stays open while others commit, writes again, commits.
    Long,
    /// Savepoints in savepoints, some of them rolled back, some released.
    Savepoints,
    /// Hundreds of events in one statement.
    Bulk,
    /// Written and rolled back.
    RolledBack,
    /// Written, and the client is gone.
    Abandoned,
    /// Prepared, and committed later by another connection.
    PreparedCommitted,
    /// Prepared, and rolled back later by another connection.
    PreparedRolledBack,
    /// Emitted through the library.
    Emitted,
    /// Enqueued through the library into a transaction of sqlx.
    Enqueued,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::IdFirst,
        Self::Long,
        Self::Savepoints,
        Self::Bulk,
        Self::RolledBack,
        Self::Abandoned,
        Self::PreparedCommitted,
        Self::PreparedRolledBack,
        Self::Emitted,
        Self::Enqueued,
    ];

    /// How often it is chosen, in relation to the others.
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::Plain | Self::Emitted => 8,
            Self::Enqueued => 4,
            Self::IdFirst | Self::Long | Self::Savepoints => 3,
            Self::Bulk | Self::RolledBack | Self::Abandoned => 1,
            Self::PreparedCommitted | Self::PreparedRolledBack => 1,
        }
    }
}

/// Why a transaction failed.
pub(super) type WriteError = Box<dyn std::error::Error + Send + Sync>;

/// One of the concurrent writers.
pub(super) struct Writer {
    pub(super) run: u64,
    pub(super) pool: PgPool,
    pub(super) outbox: Outbox<Postgres>,
    pub(super) tables: Tables,
    /// The run whose business rows these are, if there is a business table.
    pub(super) business: Option<u64>,
    pub(super) topics: Arc<[String]>,
    pub(super) keys: u32,
    pub(super) random: StdRng,
    pub(super) ledger: Arc<OpenLedger>,
    pub(super) progress: Arc<Progress>,
}

impl Writer {
    /// One transaction of this shape.
    pub(super) async fn write(&mut self, shape: Shape) -> Result<(), WriteError> {
        match shape {
            Shape::Emitted => self.emit().await,
            Shape::Enqueued => self.enqueue().await,
            _ => Ok(self.write_sql(shape).await?),
        }
    }

    async fn write_sql(&mut self, shape: Shape) -> sqlx::Result<()> {
        let mut transaction =
            RawTransaction::begin(&self.pool, &self.tables, self.business, &self.ledger).await?;
        match shape {
            Shape::Plain => {
                self.insert_some(&mut transaction).await?;
                transaction.commit().await?;
            }
            Shape::IdFirst => {
                transaction.run("SELECT pg_current_xact_id()").await?;
                self.let_others_commit().await;
                self.insert_some(&mut transaction).await?;
                transaction.commit().await?;
            }
            Shape::Long => {
                self.insert_some(&mut transaction).await?;
                for _ in 0..self.random.random_range(1..4) {
                    self.let_others_commit().await;
                    self.insert_some(&mut transaction).await?;
                }
                transaction.commit().await?;
            }
            Shape::Savepoints => {
                self.nest(&mut transaction, 0).await?;
                transaction.commit().await?;
            }
            Shape::Bulk => {
                let count = self.random.random_range(100..600);
                let statement = *[Statement::Arrays, Statement::Copy]
                    .choose(&mut self.random)
                    .expect("two");
                let mut events = self.events(count);
                events.iter_mut().for_each(Event::lengthen);
                transaction.insert(statement, events).await?;
                transaction.commit().await?;
            }
            Shape::RolledBack => {
                self.insert_some(&mut transaction).await?;
                transaction.roll_back().await?;
                return Ok(());
            }
            Shape::Abandoned => {
                self.insert_some(&mut transaction).await?;
                return Ok(());
            }
            Shape::PreparedCommitted | Shape::PreparedRolledBack => {
                self.insert_some(&mut transaction).await?;
                let id = format!("{}-{}", run_name(self.run), self.random.random::<u64>());
                let prepared = transaction.prepare(&id).await?;
                self.let_others_commit().await;
                if shape == Shape::PreparedRolledBack {
                    return prepared.roll_back(&self.pool).await;
                }
                prepared.commit(&self.pool).await?;
            }
            Shape::Emitted | Shape::Enqueued => unreachable!("written through the library"),
        }
        self.progress.committed();
        Ok(())
    }

    pub(super) async fn let_others_commit(&mut self) {
        let count = self.random.random_range(1..12);
        self.progress.let_others_commit(count).await;
    }

    /// Savepoints up to three deep, each released or rolled back after what is in it.
    async fn nest(&mut self, transaction: &mut RawTransaction, depth: u32) -> sqlx::Result<()> {
        self.insert_some(transaction).await?;
        for _ in 0..self.random.random_range(0..3_u32.saturating_sub(depth).max(1)) {
            let savepoint = transaction.savepoint().await?;
            Box::pin(self.nest(transaction, depth + 1)).await?;
            if self.random.random_bool(0.4) {
                transaction.roll_back_to(savepoint).await?;
            } else {
                transaction.release(savepoint).await?;
            }
            self.insert_some(transaction).await?;
        }
        Ok(())
    }

    async fn insert_some(&mut self, transaction: &mut RawTransaction) -> sqlx::Result<()> {
        let statements = [
            Statement::Single,
            Statement::Single,
            Statement::Rows,
            Statement::Arrays,
            Statement::Copy,
        ];
        let statement = *statements.choose(&mut self.random).expect("there are some");
        let mut events = self.some_events();
        events.iter_mut().for_each(Event::lengthen);
        transaction.insert(statement, events).await
    }

    pub(super) fn some_events(&mut self) -> Vec<Event> {
        let count = self.random.random_range(1..5);
        self.events(count)
    }

    fn events(&mut self, count: usize) -> Vec<Event> {
        (0..count)
            .map(|_| Event::random(&mut self.random, &self.topics, self.keys))
            .collect()
    }
}

/// What a run calls itself at the server: its connections, and its prepared transactions, which belong to no
/// connection.
pub(super) fn run_name(run: u64) -> String {
    format!("outbox-test-{run:016x}")
}
