//! The modes as this process knows them, and how it learns of changes.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::sync::Mutex;

use super::{InForce, Mode, ModeScope, ModeSql};

/// How often changes are looked for where no transaction asks.
const EVERY: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(super) struct Following {
    pool: sqlx::PgPool,
    sql: Arc<ModeSql>,
    default: Mode,
    known: RwLock<Arc<InForce>>,
    /// Apart from the pool: transactions that hold all of the pool's connections wait for this one.
    connection: Mutex<Option<PgConnection>>,
    polling: OnceLock<()>,
}

impl Following {
    pub(super) fn new(pool: sqlx::PgPool, sql: Arc<ModeSql>, default: Mode) -> Arc<Self> {
        Arc::new(Self {
            pool,
            sql,
            default,
            // Of a version that never is, so that the first transaction loads them.
            known: RwLock::new(Arc::new(InForce::new(Some(-1), default, []))),
            connection: Mutex::new(None),
            polling: OnceLock::new(),
        })
    }

    pub(super) fn known(&self) -> Arc<InForce> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The modes of this version, which a transaction holds.
    pub(super) async fn of_version(&self, version: Option<i64>) -> Result<Arc<InForce>, sqlx::Error> {
        let known = self.known();
        if known.is_of(version) {
            return Ok(known);
        }
        let mut connection = self.connection.lock().await;
        let known = self.known();
        if known.is_of(version) {
            return Ok(known);
        }
        let pg = self.connected(&mut connection).await?;
        let loaded = self.load(pg, version).await;
        if loaded.is_err() {
            *connection = None;
        }
        loaded
    }

    async fn connected<'c>(
        &self,
        connection: &'c mut Option<PgConnection>,
    ) -> Result<&'c mut PgConnection, sqlx::Error> {
        if connection.is_none() {
            *connection = Some(PgConnection::connect_with(&self.pool.connect_options()).await?);
        }
        connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    async fn load(&self, pg: &mut PgConnection, version: Option<i64>) -> Result<Arc<InForce>, sqlx::Error> {
        let sql = AssertSqlSafe(self.sql.set.as_str());
        let rows: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(pg).await?;
        let set = rows
            .into_iter()
            .filter_map(|(scope, name, mode)| Some((ModeScope::of(&scope, name)?, mode.parse().ok()?)));
        let loaded = Arc::new(InForce::new(version, self.default, set));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        Ok(loaded)
    }

    /// Looks for changes from now on, until the outbox is gone. Does nothing outside of a runtime, or a second time.
    pub(super) fn poll(self: &Arc<Self>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.polling.get_or_init(|| {
                runtime.spawn(look_again_and_again(Arc::downgrade(self)));
            });
        }
    }

    async fn look(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.connection.lock().await;
        let looked = async {
            let pg = self.connected(&mut connection).await?;
            let mut tx = pg.begin().await?;
            let row = sqlx::query(AssertSqlSafe(self.sql.try_hold.as_str()))
                .fetch_one(&mut *tx)
                .await?;
            let (held, version): (bool, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            // During a switch, the version may be new and the modes not.
            if held && !self.known().is_of(version) {
                self.load(&mut tx, version).await?;
            }
            tx.commit().await
        }
        .await;
        if looked.is_err() {
            *connection = None;
        }
        looked
    }
}

async fn look_again_and_again(following: Weak<Following>) {
    while let Some(following) = following.upgrade() {
        if let Err(error) = following.look().await {
            tracing::debug!(%error, "could not look for changed modes; trying again");
        }
        drop(following);
        tokio::time::sleep(EVERY).await;
    }
}
