//! Bringing a database to the version that this library works with.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Pool};

use super::{Fit, Layout, Migration, SchemaDatabase, SchemaError, Tables, TablesVersion};

/// How long it is tried to get locks that other sessions hold.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts, in which those go on who have queued behind us.
const PAUSE: Duration = Duration::from_secs(2);

/// Result of [`migrate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrated {
    /// The tables were created or upgraded to [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    Applied,
    /// The tables already had this version.
    UpToDate,
    /// The tables have this newer version, which this program works with ([`Fit::Added`]). They were not
    /// changed.
    Newer(TablesVersion),
}

/// Creates the outbox tables, or upgrades them to [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
///
/// Safe to call at every start and from many processes at once: one does the work, the others wait for it. If
/// the tables already have the version, or a newer one that this program works with, it only reads, so a role
/// without the right to create tables can call it. It waits for locks in short attempts with pauses, for a
/// minute, so that other sessions do not queue behind a change that itself waits for a long transaction. The
/// version is stored in `outbox_schema`. Tables of other tools, such as `_sqlx_migrations`, are not changed.
///
/// ```no_run
/// # async fn start(pool: sqlx::Pool<impl outbox_runtime::schema::SchemaDatabase>)
/// # -> Result<(), outbox_runtime::schema::SchemaError> {
/// outbox_runtime::migrate(&pool, &outbox_runtime::Tables::default()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`SchemaError::Newer`] if a newer version has migrated the tables and this program does not work with
/// them, [`SchemaError::Locked`] if other sessions kept their locks on the tables, [`SchemaError::Encoding`]
/// for a database that does not check texts, [`SchemaError::Database`] for all other errors of the database.
/// Nothing was changed then, because all steps are one transaction. Dropping the future is safe for the same
/// reason.
pub async fn migrate<DB: SchemaDatabase>(pool: &Pool<DB>, tables: &Tables) -> Result<Migrated, SchemaError> {
    migrate_as(Layout::Plain, pool, tables).await
}

/// Like [`migrate`], with this layout for new tables. Existing tables keep their layout.
///
/// # Errors
/// As [`migrate`]; [`SchemaError::NotPartitioned`] if partitions are requested but the messages are one
/// table.
pub async fn migrate_as<DB: SchemaDatabase>(
    layout: Layout,
    pool: &Pool<DB>,
    tables: &Tables,
) -> Result<Migrated, SchemaError> {
    let mut connection = pool.acquire().await?;
    let there = installed::<DB>(&mut connection, tables).await?;
    if there.is_some() && layout != Layout::Plain && DB::room(&mut connection, tables).await?.is_none() {
        return Err(SchemaError::NotPartitioned);
    }
    if let Some(nothing_to_do) = there.and_then(nothing_to_do) {
        return Ok(nothing_to_do);
    }
    refuse_encoding::<DB>(&mut connection).await?;
    let began = Instant::now();
    loop {
        match attempt::<DB>(layout, &mut connection, tables).await {
            Err(SchemaError::Database(error)) if DB::is_lock_timeout(&error) => {
                let holders = DB::lock_holders(&mut connection, tables).await?;
                if began.elapsed() >= PATIENCE {
                    return Err(SchemaError::Locked { holders });
                }
                tracing::warn!(%holders, "other sessions hold locks on the outbox tables; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// What a migration has to say of tables that it leaves as they are.
fn nothing_to_do(there: TablesVersion) -> Option<Migrated> {
    match there.fit() {
        Fit::Same => Some(Migrated::UpToDate),
        Fit::Added => Some(Migrated::Newer(there)),
        Fit::Older | Fit::Newer => None,
    }
}

/// All steps in one transaction, which gives up soon where it would have to wait for a lock.
async fn attempt<DB: SchemaDatabase>(
    layout: Layout,
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<Migrated, SchemaError> {
    let mut tx = DB::begin_exclusively(connection).await?;
    let found = installed::<DB>(&mut tx, tables).await?;
    let migrated = match found.and_then(nothing_to_do) {
        Some(nothing_to_do) => nothing_to_do,
        None => {
            let steps = match found {
                Some(older) => Migration::upgrades(DB::DIALECT, tables, older.number()),
                None => vec![Migration::create_as(layout, DB::DIALECT, tables)],
            };
            for step in steps {
                DB::run_script(&mut tx, AssertSqlSafe(step.up().to_owned())).await?;
            }
            Migrated::Applied
        }
    };
    tx.commit().await?;
    Ok(migrated)
}

/// Fails if the database lets texts in that nobody can send to Kafka.
pub(super) async fn refuse_encoding<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
) -> Result<(), SchemaError> {
    match DB::unchecked_encoding(connection).await? {
        Some(encoding) => Err(SchemaError::Encoding { encoding }),
        None => Ok(()),
    }
}

/// The version in the database, none if there is none. One that is too new for us is an error for everybody.
pub(super) async fn installed<DB: SchemaDatabase>(
    connection: &mut DB::Connection,
    tables: &Tables,
) -> Result<Option<TablesVersion>, SchemaError> {
    let found = DB::installed_version(connection, tables).await?;
    found.map(TablesVersion::not_too_new).transpose()
}
