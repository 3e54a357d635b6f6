//! From PostgreSQL's rows to records, without an allocation for each.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

use crate::record::{OutboxRecord, RecordPage};

/// `jsonb` travels behind a byte that tells its version.
const JSONB_VERSION: usize = 1;

/// Appends a row in the order of the columns that the statements select.
pub(super) fn push(page: &mut RecordPage, row: &PgRow) -> Result<(), sqlx::Error> {
    let bytes = |column: usize| -> Result<Option<&[u8]>, sqlx::Error> {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            Ok(None)
        } else {
            value.as_bytes().map(Some).map_err(sqlx::Error::Decode)
        }
    };
    let headers = bytes(7)?
        .and_then(|jsonb| jsonb.get(JSONB_VERSION..))
        .unwrap_or(b"{}");
    let occurred_at: DateTime<Utc> = row.try_get(10)?;
    page.push(OutboxRecord {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        topic: row.try_get(2)?,
        key: row.try_get(3)?,
        event_type: row.try_get(4)?,
        content_type: row.try_get(5)?,
        source: row.try_get(6)?,
        headers: std::str::from_utf8(headers).map_err(|error| sqlx::Error::Decode(error.into()))?,
        payload: match bytes(8)? {
            Some(json) => Some(json),
            None => bytes(9)?,
        },
        occurred_at_ms: occurred_at.timestamp_millis(),
    });
    Ok(())
}
