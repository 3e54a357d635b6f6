//! One transaction by hand, which notes what it does.

use std::sync::Arc;

use outbox_runtime::Tables;
use outbox_runtime::testkit::checker::Written;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres};

use super::business;
use super::event::Event;
use super::ledger::{OpenLedger, WrittenEvent};
use super::sql::{Statement, write};

/// An open transaction. Dropped before its end, it goes with its connection, as a crashed client's does.
pub(super) struct RawTransaction {
    connection: Option<PoolConnection<Postgres>>,
    tables: Tables,
    business: Option<u64>,
    ledger: Arc<OpenLedger>,
    number: u64,
    position: u32,
    events: Vec<WrittenEvent>,
}

/// How far a transaction was, to go back to.
pub(super) struct Savepoint {
    name: String,
    events: usize,
}

impl RawTransaction {
    pub(super) async fn begin(
        pool: &PgPool,
        tables: &Tables,
        business: Option<u64>,
        ledger: &Arc<OpenLedger>,
    ) -> sqlx::Result<Self> {
        let mut connection = pool.acquire().await?;
        connection.execute("BEGIN").await?;
        Ok(Self {
            connection: Some(connection),
            tables: tables.clone(),
            business,
            ledger: Arc::clone(ledger),
            number: ledger.next_transaction(),
            position: 0,
            events: Vec::new(),
        })
    }

    pub(super) async fn run(&mut self, statement: &str) -> sqlx::Result<()> {
        let connection = self.connection.as_mut().expect("the transaction is open");
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut **connection)
            .await
            .map(drop)
    }

    /// Inserts the events in their order.
    pub(super) async fn insert(&mut self, statement: Statement, events: Vec<Event>) -> sqlx::Result<()> {
        let inserted = self.ledger.now();
        let connection = self.connection.as_mut().expect("the transaction is open");
        // Noted first: should the statement fail, the transaction is rolled back and so are its events.
        let first = self.events.len();
        for event in events {
            let (transaction, position) = (self.number, self.position);
            let written = Written {
                transaction,
                position,
                inserted,
                committed: u64::MAX,
            };
            self.events.push(WrittenEvent { event, written });
            self.position += 1;
        }
        let events: Vec<_> = self.events[first..]
            .iter()
            .map(|written| written.event.clone())
            .collect();
        write(connection, &self.tables, statement, &events).await?;
        match self.business {
            Some(run) => business::insert(connection, run, &events).await,
            None => Ok(()),
        }
    }

    pub(super) async fn savepoint(&mut self) -> sqlx::Result<Savepoint> {
        let savepoint = Savepoint {
            name: format!("s{}", self.position),
            events: self.events.len(),
        };
        self.run(&format!("SAVEPOINT {}", savepoint.name)).await?;
        Ok(savepoint)
    }

    pub(super) async fn release(&mut self, savepoint: Savepoint) -> sqlx::Result<()> {
        self.run(&format!("RELEASE SAVEPOINT {}", savepoint.name)).await
    }

    pub(super) async fn roll_back_to(&mut self, savepoint: Savepoint) -> sqlx::Result<()> {
        self.run(&format!("ROLLBACK TO SAVEPOINT {}", savepoint.name))
            .await?;
        self.ledger.rolled_back(self.events.drain(savepoint.events..));
        Ok(())
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(mut self) -> sqlx::Result<()> {
        self.run("ROLLBACK").await?;
        self.keep_connection();
        Ok(())
    }

    /// Prepares it; what follows is some other connection's business.
    pub(super) async fn prepare(mut self, id: &str) -> sqlx::Result<Prepared> {
        let events = std::mem::take(&mut self.events);
        let ledger = Arc::clone(&self.ledger);
        match self.run(&format!("PREPARE TRANSACTION '{id}'")).await {
            Ok(()) => {
                self.keep_connection();
                Ok(Prepared {
                    id: id.to_owned(),
                    events,
                    ledger,
                })
            }
            Err(error) => {
                ledger.unknown(events);
                Err(error)
            }
        }
    }

    async fn end(mut self, statement: &str) -> sqlx::Result<()> {
        // From here on, nobody knows until the answer is there.
        let events = std::mem::take(&mut self.events);
        match self.run(statement).await {
            Ok(()) => {
                self.ledger.committed(events);
                self.keep_connection();
                Ok(())
            }
            Err(error) => {
                self.ledger.unknown(events);
                Err(error)
            }
        }
    }

    /// The transaction is over: the connection can be used again.
    fn keep_connection(&mut self) {
        self.connection = None;
    }
}

impl Drop for RawTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Without a word to the server, so that it finds out by itself.
            drop(connection.detach());
        }
        self.ledger.rolled_back(std::mem::take(&mut self.events));
    }
}

/// A prepared transaction, which outlives connections and the server's crashes.
pub(super) struct Prepared {
    id: String,
    events: Vec<WrittenEvent>,
    ledger: Arc<OpenLedger>,
}

impl Prepared {
    pub(super) async fn commit(self, pool: &PgPool) -> sqlx::Result<()> {
        match pool
            .execute(AssertSqlSafe(format!("COMMIT PREPARED '{}'", self.id)))
            .await
        {
            Ok(_) => {
                self.ledger.committed(self.events);
                Ok(())
            }
            Err(error) => {
                self.ledger.unknown(self.events);
                Err(error)
            }
        }
    }

    pub(super) async fn roll_back(self, pool: &PgPool) -> sqlx::Result<()> {
        match pool
            .execute(AssertSqlSafe(format!("ROLLBACK PREPARED '{}'", self.id)))
            .await
        {
            Ok(_) => {
                self.ledger.rolled_back(self.events);
                Ok(())
            }
            Err(error) => {
                self.ledger.unknown(self.events);
                Err(error)
            }
        }
    }
}
