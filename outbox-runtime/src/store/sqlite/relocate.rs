//! Lost rows of the cursor and the lease, and copies of a log's file.

use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, Transaction};

use crate::Tables;
use crate::schema::check_schema;
use crate::store::{Adopt, Fork, Relocated, StoreError, StoreErrorKind, WithoutCursor};

/// What an operator asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Adopt(Adopt),
    Fork(Fork),
}

pub(super) async fn relocate(
    pool: &SqlitePool,
    tables: &Tables,
    order: Order,
) -> Result<Relocated, StoreError> {
    let failed = || StoreError::while_doing("looking at the log's cursor");
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
    check_schema::<Sqlite>(&mut transaction, tables).await?;
    let (dry_run, relocated) = match order {
        Order::Adopt(asked) => (asked.dry_run, adopt(&mut transaction, tables, asked).await?),
        Order::Fork(asked) => (asked.dry_run, fork(&mut transaction, tables, asked).await?),
    };
    if dry_run {
        transaction.rollback().await.map_err(failed())?;
    } else {
        transaction.commit().await.map_err(failed())?;
    }
    Ok(relocated)
}

type Open<'a> = Transaction<'a, Sqlite>;

async fn adopt(tx: &mut Open<'_>, tables: &Tables, adopt: Adopt) -> Result<Relocated, StoreError> {
    let (has_lease, high) = (row_count(tx, &tables.lease()).await? > 0, high(tx, tables).await?);
    let new_high = match (adopt.without_cursor, high) {
        (Some(WithoutCursor::SendAll), _) => Some(0),
        (Some(WithoutCursor::SkipAll), _) => Some(highest(tx, tables).await?),
        (None, Some(_)) => None,
        (None, None) => return Err(StoreError::lost_cursor(tables).of_kind(StoreErrorKind::Undecided)),
    };
    if let Some(new_high) = new_high {
        put_cursor(tx, tables, new_high).await?;
    }
    mend_lease(tx, tables).await?;
    let needed = new_high.is_some() || !has_lease;
    relocated(tx, tables, needed, high).await
}

async fn fork(tx: &mut Open<'_>, tables: &Tables, fork: Fork) -> Result<Relocated, StoreError> {
    if !fork.physical_copy {
        return Err(StoreError::new(
            StoreErrorKind::Undecided,
            format!(
                "nothing distinguishes a copied file from its original: if this is the original, leave it as it is; if it is \
                 a copy, say so with `outbox fork{} --physical-copy`",
                tables.as_arguments()
            ),
        ));
    }
    let before = high(tx, tables).await?;
    if before.is_none() && fork.send_backlog {
        return Err(StoreError::lost_cursor(tables).of_kind(StoreErrorKind::Undecided));
    }
    if !fork.send_backlog {
        let all = highest(tx, tables).await?;
        put_cursor(tx, tables, all).await?;
    }
    mend_lease(tx, tables).await?;
    let relocated = relocated(tx, tables, true, before).await?;
    if !fork.send_backlog {
        let dead_letters = tables.dead_letters();
        let copy_to_dead_letters = format!(
            "UPDATE {dead_letters} SET state = 'dead', reason = 'fork',
                    error = 'it was parked in the log that this one is a copy of, which sends it itself'
             WHERE state = 'parked';
             UPDATE {dead_letters} SET replay_requested_at = NULL WHERE replay_requested_at IS NOT NULL"
        );
        run(tx, copy_to_dead_letters).await?;
    }
    let renamed = format!(
        "UPDATE {} SET token = NULL, kafka_cluster_id = NULL, log_id = $1",
        tables.cursor()
    );
    let log_id = uuid::Uuid::new_v4();
    sqlx::query(AssertSqlSafe(renamed))
        .bind(log_id.to_string())
        .execute(&mut **tx)
        .await
        .map_err(StoreError::while_doing("naming the copy"))?;
    let log_id = if fork.dry_run { relocated.log_id } else { log_id };
    Ok(Relocated { log_id, ..relocated })
}

/// Counts what there is now; `before` is up to where the old cursor called messages delivered.
async fn relocated(
    tx: &mut Open<'_>,
    tables: &Tables,
    needed: bool,
    before: Option<i64>,
) -> Result<Relocated, StoreError> {
    let count = format!(
        "SELECT c.log_id, (SELECT count(*) FROM {messages} m WHERE m.seq > c.high),
                (SELECT count(*) FROM {messages} m WHERE m.seq <= c.high),
                (SELECT count(*) FROM {messages} m WHERE m.seq <= c.high AND m.seq > $1),
                (SELECT count(*) FROM {dead_letters} WHERE state = 'parked')
         FROM {cursor} c",
        messages = tables.messages(),
        dead_letters = tables.dead_letters(),
        cursor = tables.cursor(),
    );
    let (log_id, to_send, delivered, skipped, parked): (String, i64, i64, i64, i64) =
        sqlx::query_as(AssertSqlSafe(count))
            .bind(before.unwrap_or(0))
            .fetch_one(&mut **tx)
            .await
            .map_err(StoreError::while_doing("counting messages"))?;
    let counted = |number: i64| if needed { number.max(0).unsigned_abs() } else { 0 };
    Ok(Relocated {
        needed,
        log_id: log_id.parse().unwrap_or_default(),
        to_send: counted(to_send),
        delivered: counted(delivered),
        skipped: counted(skipped),
        parked: counted(parked),
    })
}

async fn put_cursor(tx: &mut Open<'_>, tables: &Tables, high: i64) -> Result<(), StoreError> {
    let put = format!(
        "INSERT INTO {} (id, epoch, high) VALUES (1, coalesce((SELECT epoch FROM {}), 0), {high})
         ON CONFLICT (id) DO UPDATE SET token = NULL, high = excluded.high",
        tables.cursor(),
        tables.lease()
    );
    run(tx, put).await
}

/// One that is put back looks held: a relay that had it may not know yet.
async fn mend_lease(tx: &mut Open<'_>, tables: &Tables) -> Result<(), StoreError> {
    let mend = format!(
        "INSERT INTO {lease} (id, epoch, token, ttl_ms)
         VALUES (1, coalesce((SELECT epoch FROM {cursor}), 0), '{token}', 10000)
         ON CONFLICT (id) DO UPDATE SET epoch = max(epoch, excluded.epoch)",
        lease = tables.lease(),
        cursor = tables.cursor(),
        token = uuid::Uuid::new_v4(),
    );
    run(tx, mend).await
}

async fn high(tx: &mut Open<'_>, tables: &Tables) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT high FROM {}", tables.cursor())))
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::while_doing("reading the cursor"))
}

async fn highest(tx: &mut Open<'_>, tables: &Tables) -> Result<i64, StoreError> {
    let text = format!("SELECT coalesce(max(seq), 0) FROM {}", tables.messages());
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::while_doing("looking for the last message"))
}

async fn row_count(tx: &mut Open<'_>, table: &str) -> Result<i64, StoreError> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::while_doing("counting rows"))
}

async fn run(tx: &mut Open<'_>, sql: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(StoreError::while_doing("writing the cursor"))
}
