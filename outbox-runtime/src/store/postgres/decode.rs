//! From PostgreSQL's rows to records, straight from the wire's binary format and without an allocation for each.

use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};
use uuid::Uuid;

use crate::record::{OutboxRecord, RecordPage};
use crate::store::unreadable::Unreadable;

/// A byte with the version precedes `jsonb`.
const JSONB_VERSION: usize = 1;

/// PostgreSQL counts microseconds from the year 2000.
const YEAR_2000_MS: i64 = 946_684_800_000;

/// Appends a row in the order of the columns that the statements select.
pub(super) fn push(page: &mut RecordPage, row: &PgRow) -> Result<(), sqlx::Error> {
    let occurred_at_us = number(present(row, 10)?)?;
    let headers = present(row, 7)?.get(JSONB_VERSION..).unwrap_or_default();
    page.push(OutboxRecord {
        seq: number(present(row, 0)?)?,
        id: Uuid::from_slice(present(row, 1)?).map_err(undecodable)?,
        topic: text(present(row, 2)?)?,
        key: text(present(row, 3)?)?,
        event_type: text(present(row, 4)?)?,
        content_type: text(present(row, 5)?)?,
        source: bytes(row, 6)?.map(text).transpose()?,
        headers: text(headers)?,
        payload: match bytes(row, 8)? {
            Some(json) => Some(json),
            None => bytes(row, 9)?,
        },
        occurred_at_ms: occurred_at_us.div_euclid(1000).saturating_add(YEAR_2000_MS),
    });
    Ok(())
}

/// Appends a row; one that cannot be read takes its place as a record that is never sent.
pub(super) fn push_readable_or_not(
    page: &mut RecordPage,
    row: &PgRow,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    match push(page, row) {
        Err(error) => push_unreadable(page, row, &error, unreadable),
        Ok(()) => Ok(()),
    }
}

/// Appends a row that could not be read. Seq, id, topic, key and event type come first, as texts or as their bytes.
pub(super) fn push_unreadable(
    page: &mut RecordPage,
    row: &PgRow,
    error: &sqlx::Error,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let seq = number(present(row, 0)?)?;
    let id = Uuid::from_slice(present(row, 1)?).map_err(undecodable)?;
    let texts = [present(row, 2)?, present(row, 3)?, present(row, 4)?];
    unreadable.push(page, (seq, id), texts, error);
    Ok(())
}

/// A column's bytes, unless it is null.
fn bytes(row: &PgRow, column: usize) -> Result<Option<&[u8]>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        Ok(None)
    } else {
        value.as_bytes().map(Some).map_err(sqlx::Error::Decode)
    }
}

fn present(row: &PgRow, column: usize) -> Result<&[u8], sqlx::Error> {
    bytes(row, column)?.ok_or_else(|| undecodable("a column that cannot be null is null"))
}

fn text(bytes: &[u8]) -> Result<&str, sqlx::Error> {
    std::str::from_utf8(bytes).map_err(undecodable)
}

fn number(bytes: &[u8]) -> Result<i64, sqlx::Error> {
    bytes.try_into().map(i64::from_be_bytes).map_err(undecodable)
}

fn undecodable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
