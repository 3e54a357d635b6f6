//! The rows of a page: first what is late, then what is new.

use std::num::ParseIntError;

use futures_util::TryStreamExt as _;
use sqlx::PgConnection;

use super::decode;
use super::progress::OpenWindow;
use super::snapshot::Xid;
use super::sql::Sql;
use crate::record::RecordPage;
use crate::store::PageLimit;

/// How far ahead of its position a page of late rows looks, in multiples of the page. Without a limit each of
/// many interleaved late transactions would be read for a whole page.
const LATE_SPAN: i64 = 2;

/// From so many rows on it is worth a question whether there are large ones.
const WORTH_ASKING: i64 = 500;

/// Rows below the window's lower edge, of the transactions found to be late.
pub(super) async fn late_rows(
    pg: &mut PgConnection,
    sql: &Sql,
    open: &mut OpenWindow,
    limit: PageLimit,
    page: &mut RecordPage,
) -> Result<(), sqlx::Error> {
    let high = open.window.from.high;
    let late = open.late.as_deref().unwrap_or_default();
    if late.is_empty() || open.read_to >= high {
        return Ok(());
    }
    let late: Vec<String> = late.iter().map(Xid::to_string).collect();
    let left: Vec<(String, i64)> = sqlx::query_as(sql.late_next.text())
        .bind(&late)
        .bind(open.read_to)
        .bind(high)
        .fetch_all(&mut *pg)
        .await?;
    let Some(next) = left.iter().map(|(_, seq)| *seq).min() else {
        open.read_to = high;
        return Ok(());
    };
    let late: Vec<String> = left.into_iter().map(|(xid, _)| xid).collect();
    // All of them have finished, so one that has no row left gets none any more.
    let have_rows: Result<_, ParseIntError> = late.iter().map(|xid| xid.parse()).collect();
    open.late = Some(have_rows.map_err(|error| sqlx::Error::Decode(error.into()))?);
    let rows = limit.rows as i64;
    let mut found = sqlx::query(sql.late_page.text())
        .bind(rows)
        .bind(limit.bytes as i64)
        .bind(&late)
        .bind(next - 1)
        .bind(high.min(next.saturating_add(rows * LATE_SPAN)))
        .fetch(pg);
    while let Some(row) = found.try_next().await? {
        decode::push(page, &row)?;
    }
    Ok(())
}

/// Rows above the window's lower edge.
pub(super) async fn new_rows(
    pg: &mut PgConnection,
    sql: &Sql,
    open: &OpenWindow,
    limit: PageLimit,
    page: &mut RecordPage,
) -> Result<(), sqlx::Error> {
    let after = open.read_to.max(open.window.from.high);
    if after >= open.window.to.high {
        return Ok(());
    }
    let (rows, snapshot, high) = (
        limit.rows as i64,
        open.window.to.snapshot.to_string(),
        open.window.to.high,
    );
    let small =
        small_rows_fit(limit) && high - after > WORTH_ASKING && !has_large_rows(&mut *pg, sql).await?;
    let query = if small {
        sqlx::query(sql.new_page_of_small_rows.text()).bind(rows)
    } else {
        sqlx::query(sql.new_page.text())
            .bind(rows)
            .bind(limit.bytes as i64)
    };
    let mut found = query.bind(snapshot).bind(after).bind(high).fetch(pg);
    while let Some(row) = found.try_next().await? {
        decode::push(page, &row)?;
    }
    Ok(())
}

/// Whether a page full of rows that need no side table stays near the bound on bytes. The running sum of sizes
/// takes more than half of the server's time for a page, and is then not needed.
fn small_rows_fit(limit: PageLimit) -> bool {
    const LARGEST_WITHOUT_SIDE_TABLE: usize = 2048;
    limit.rows.saturating_mul(LARGEST_WITHOUT_SIDE_TABLE) <= limit.bytes.saturating_mul(2)
}

/// Asked for each page: a row of the window that needed the side table had filled it before the window opened.
async fn has_large_rows(pg: &mut PgConnection, sql: &Sql) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql.has_large_rows.text()).fetch_one(pg).await
}
