//! The rows of a page: first what is late, then what is new.

use std::num::ParseIntError;

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::progress::OpenWindow;
use super::snapshot::Xid;
use super::sql::Sql;
use super::{behind, decode};
use crate::record::RecordPage;
use crate::store::PageLimit;
use crate::store::classify::is_about_content;
use crate::store::unreadable::Unreadable;

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
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let high = open.window.from.high;
    if open.reads_below {
        return match open.read_to < high {
            true => behind::next_rows(pg, sql, open, limit, page, unreadable).await,
            false => Ok(()),
        };
    }
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
    let found = sqlx::query(sql.late_page.text())
        .bind(rows)
        .bind(limit.bytes as i64)
        .bind(&late)
        .bind(next - 1)
        .bind(high.min(next.saturating_add(rows * LATE_SPAN)))
        .fetch(&mut *pg);
    match gather(found, page, unreadable).await? {
        None => Ok(()),
        Some(error) => first_unreadable(pg, sql, next, &error, page, unreadable).await,
    }
}

/// Rows above the window's lower edge.
pub(super) async fn new_rows(
    pg: &mut PgConnection,
    sql: &Sql,
    open: &mut OpenWindow,
    limit: PageLimit,
    page: &mut RecordPage,
    unreadable: &mut Unreadable,
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
    let may_be_small = small_rows_fit(limit) && high - after > WORTH_ASKING;
    let small = may_be_small && !has_large_rows(&mut *pg, sql, open).await?;
    let query = if small {
        sqlx::query(sql.new_page_of_small_rows.text()).bind(rows)
    } else {
        sqlx::query(sql.new_page.text())
            .bind(rows)
            .bind(limit.bytes as i64)
    };
    let found = query.bind(&snapshot).bind(after).bind(high).fetch(&mut *pg);
    let Some(error) = gather(found, page, unreadable).await? else {
        return Ok(());
    };
    let next: Option<i64> = sqlx::query_scalar(sql.new_next.text())
        .bind(snapshot)
        .bind(after)
        .bind(high)
        .fetch_optional(&mut *pg)
        .await?;
    match next {
        Some(next) => first_unreadable(pg, sql, next, &error, page, unreadable).await,
        None => Err(error),
    }
}

/// Takes the rows into the page. Where the server cannot put a row's texts into UTF-8 the page ends before it; the error is
/// returned if that is the first one.
pub(super) async fn gather(
    mut rows: BoxStream<'_, Result<PgRow, sqlx::Error>>,
    page: &mut RecordPage,
    unreadable: &mut Unreadable,
) -> Result<Option<sqlx::Error>, sqlx::Error> {
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => decode::push_readable_or_not(page, &row, unreadable)?,
            Ok(None) => return Ok(None),
            Err(error) if is_about_content(&error) => return Ok(Some(error).filter(|_| page.is_empty())),
            Err(error) => return Err(error),
        }
    }
}

/// The page's first row, whose texts only come as bytes.
pub(super) async fn first_unreadable(
    pg: &mut PgConnection,
    sql: &Sql,
    seq: i64,
    error: &sqlx::Error,
    page: &mut RecordPage,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let row = sqlx::query(sql.row_in_bytes.text())
        .bind(seq)
        .fetch_one(pg)
        .await?;
    decode::push_unreadable(page, &row, error, unreadable)
}

/// Whether a page full of rows that need no side table stays near the bound on bytes. The running sum of sizes
/// takes more than half of the server's time for a page, and is then not needed.
fn small_rows_fit(limit: PageLimit) -> bool {
    const LARGEST_WITHOUT_SIDE_TABLE: usize = 2048;
    limit.rows.saturating_mul(LARGEST_WITHOUT_SIDE_TABLE) <= limit.bytes.saturating_mul(2)
}

/// Asked once for each window: a row of it that needed the side table had filled it before the window opened.
async fn has_large_rows(
    pg: &mut PgConnection,
    sql: &Sql,
    open: &mut OpenWindow,
) -> Result<bool, sqlx::Error> {
    if let Some(has_large_rows) = open.has_large_rows {
        return Ok(has_large_rows);
    }
    let asked = sqlx::query_scalar(sql.has_large_rows.text()).fetch_one(pg);
    Ok(*open.has_large_rows.insert(asked.await?))
}
