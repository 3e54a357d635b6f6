//! From SQLite's rows to records.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::record::{OutboxRecord, RecordPage};
use crate::store::unreadable::Unreadable;

/// Appends a row that could not be read: SQLite lets any bytes in as a text, and bytes where a text should be.
pub(super) fn push_unreadable(
    page: &mut RecordPage,
    row: &SqliteRow,
    error: &sqlx::Error,
    unreadable: &mut Unreadable,
) -> Result<(), sqlx::Error> {
    let id: &str = row.try_get(1)?;
    let id = id
        .parse()
        .map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
    let text = |column: usize| row.try_get_unchecked::<&[u8], _>(column);
    unreadable.push(page, (row.try_get(0)?, id), [text(2)?, text(3)?, text(4)?], error);
    Ok(())
}

/// Appends a row in the order of the columns that the statements select.
pub(super) fn push(page: &mut RecordPage, row: &SqliteRow) -> Result<(), sqlx::Error> {
    let id: &str = row.try_get(1)?;
    let payload: Option<&str> = row.try_get(8)?;
    page.push(OutboxRecord {
        seq: row.try_get(0)?,
        id: id
            .parse()
            .map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
        topic: row.try_get(2)?,
        key: row.try_get(3)?,
        event_type: row.try_get(4)?,
        content_type: row.try_get(5)?,
        source: row.try_get(6)?,
        headers: row.try_get(7)?,
        payload: match payload {
            Some(json) => Some(json.as_bytes()),
            None => row.try_get(9)?,
        },
        occurred_at_ms: row.try_get(10)?,
    });
    Ok(())
}
